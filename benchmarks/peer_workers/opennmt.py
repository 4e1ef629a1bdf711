"""OpenNMT-py: its model, `Trainer.train` and `Translator.translate_batch`, on tensors made before."""

from __future__ import annotations

import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from onmt.constants import ModelTask
from onmt.inputters.inputter import build_vocab
from onmt.model_builder import build_model
from onmt.opts import train_opts
from onmt.trainer import build_trainer
from onmt.translate import GNMTGlobalScorer, Translator
from onmt.utils.optimizers import Optimizer
from onmt.utils.parse import ArgumentParser
from peer_workers.worker import BOS, EOS, FIRST_TOKEN, DecodingBatch, Job, Prepared, count, padded, serve

NEVER = 1_000_000_000


def options_of(job: Job, folder: Path) -> Any:
    """Return the options of `onmt_train` for a pre-norm model with tied embeddings."""
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("".join(f"t{number}\n" for number in range(FIRST_TOKEN, job.vocab_size)), encoding="utf-8")
    shape = job.shape
    values = {
        "data": "{}",
        "src_vocab": vocabulary,
        "src_vocab_size": job.vocab_size,
        "encoder_type": "transformer",
        "decoder_type": "transformer",
        "layers": shape.layers,
        "heads": shape.heads,
        "hidden_size": shape.d_model,
        "word_vec_size": shape.d_model,
        "transformer_ff": shape.d_ff,
        "dropout": job.dropout,
        "attention_dropout": job.dropout,
        "label_smoothing": job.label_smoothing,
        "normalization": "tokens",
        "max_grad_norm": 1.0,
        "optim": "adam",
        "adam_beta2": 0.98,
        "learning_rate": 1e-4,
        "param_init": 0.0,
        "report_every": NEVER,
    }
    flags = ["share_vocab", "share_embeddings", "share_decoder_embeddings", "position_encoding", "param_init_glorot"]
    flags += ["add_qkvbias", "add_ffnbias"]
    parser = ArgumentParser()
    train_opts(parser)
    words = [word for name, value in values.items() for word in (f"--{name}", str(value))]
    options = parser.parse_args(words + [f"--{name}" for name in flags])
    ArgumentParser.update_model_opts(options)
    ArgumentParser.validate_model_opts(options)
    # What the preparation of corpora adds, of which there are none here.
    options.data, options.data_task = {}, ModelTask.SEQ2SEQ
    return options


def prepare(job: Job) -> Prepared:
    """Return the model of a job."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(job, Path(folder))
        vocabs = build_vocab(options, {"src": [], "tgt": []})
    model = build_model(options, options, vocabs, None, -1)
    if job.task == "training":
        optimizer = Optimizer.from_opt(model.train(), options)
        trainer = build_trainer(options, -1, model, vocabs, optimizer)
        batches = cycle([(to_batch(*zip(*pairs, strict=True)), 0) for pairs in job.training])

        def steps(number: int) -> None:
            trainer.train(islice(batches, number), NEVER, valid_steps=NEVER)

        return Prepared(steps, count(model))
    model.eval()

    def translator_of(beams: int) -> Translator:
        return Translator(
            model,
            vocabs,
            max_length_ratio=0,
            beam_size=beams,
            random_sampling_topk=1 if beams == 1 else 0,  # its greedy search
            dump_beam="",
            global_scorer=GNMTGlobalScorer(0.0, 0.0, "none", "none"),
        )

    translators = {search.beams: translator_of(search.beams) for search in job.searches.values()}

    def translate(batches: list[DecodingBatch], beams: int) -> int:
        produced = 0
        for batch in batches:
            translator = translators[beams]
            translator.min_length = translator.max_length = batch.length
            found = translator.translate_batch(to_batch(batch.sources), attn_debug=False)
            produced += sum(len(each[0]) for each in found["predictions"])
        return produced

    return Prepared(translate, count(model))


def to_batch(sources: Any, targets: Any = ()) -> dict[str, Any]:
    """Return padded tensors, `(sentences, length, 1)`, as the toolkit's data pipeline makes them."""
    batch = {
        "src": torch.tensor(padded([[*ids, EOS] for ids in sources])).unsqueeze(-1),
        "srclen": torch.tensor([len(ids) + 1 for ids in sources]),
        "ind_in_bucket": torch.arange(len(sources)),
    }
    if targets:
        batch["tgt"] = torch.tensor(padded([[BOS, *ids, EOS] for ids in targets])).unsqueeze(-1)
    return batch


if __name__ == "__main__":
    serve(prepare, "torch", "OpenNMT-py")
