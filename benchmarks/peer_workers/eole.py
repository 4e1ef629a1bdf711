"""eole: its model, `Trainer.train` and `Translator.predict_batch`, on tensors made before."""

from __future__ import annotations

import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from eole.config.run import PredictConfig, TrainConfig
from eole.inputters.inputter import build_vocab
from eole.models.model import get_model_class
from eole.predict import GNMTGlobalScorer, Translator
from eole.trainer import build_trainer
from eole.utils.optimizers import Optimizer
from peer_workers.worker import BOS, EOS, FIRST_TOKEN, DecodingBatch, Job, Prepared, count, padded, serve

NEVER = 1_000_000_000
DTYPES = {"float32": "fp32", "bfloat16": "bf16"}


def config_of(job: Job, folder: Path) -> TrainConfig:
    """Return the configuration of `eole train` for a pre-norm model with tied embeddings and all biases."""
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("".join(f"t{number}\n" for number in range(FIRST_TOKEN, job.vocab_size)), encoding="utf-8")
    shape = job.shape
    return TrainConfig(
        data={},
        src_vocab=str(vocabulary),
        src_vocab_size=job.vocab_size,
        share_vocab=True,
        report_every=NEVER,
        model={
            "architecture": "transformer",
            "layers": shape.layers,
            "heads": shape.heads,
            "hidden_size": shape.d_model,
            "transformer_ff": shape.d_ff,
            "share_embeddings": True,
            "share_decoder_embeddings": True,
            "add_qkvbias": True,
            "add_final_linear_bias": True,
            "add_ffnbias": True,
            "embeddings": {"word_vec_size": shape.d_model, "position_encoding_type": "SinusoidalInterleaved"},
        },
        training={
            "compute_dtype": DTYPES[job.precision],
            "dropout": [job.dropout],
            "attention_dropout": [job.dropout],
            "label_smoothing": job.label_smoothing,
            "normalization": "tokens",
            "max_grad_norm": 1.0,
            "optim": "adamw",
            "adam_beta2": 0.98,
            "learning_rate": 1e-4,
            "param_init_method": "xavier_uniform",
            "log_attention_entropy": False,
        },
    )


def prepare(job: Job) -> Prepared:
    """Return the model of a job."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(job, Path(folder))
        vocabs = build_vocab(config, {"src": [], "tgt": []})
    model = get_model_class(config.model).for_training(config.model, vocabs, config.training, device_id=-1)
    if job.task == "training":
        trainer = build_trainer(config, -1, model.train(), vocabs, Optimizer.from_config(model, config))
        batches = cycle([(to_batch(*zip(*pairs, strict=True)), 0) for pairs in job.training])

        def steps(number: int) -> None:
            trainer.train(islice(batches, number), NEVER, valid_steps=NEVER)

        return Prepared(steps, count(model))
    model.eval()

    def translator_of(beams: int) -> Any:
        options = PredictConfig(
            model_path=["none"],
            src="none",
            model=config.model,
            compute_dtype=DTYPES[job.precision],
            max_length_ratio=0,
            beam_size=beams,
            top_k=1 if beams == 1 else 0,  # its greedy search
            length_penalty="none",
        )
        scorer = GNMTGlobalScorer.from_config(options)
        return Translator(model, vocabs, options, config.model, device_id=-1, global_scorer=scorer)

    translators = {search.beams: translator_of(search.beams) for search in job.searches.values()}

    def translate(batches: list[DecodingBatch], beams: int) -> int:
        produced = 0
        for batch in batches:
            translators[beams].update_settings(min_length=batch.length, max_length=batch.length)
            found = translators[beams].predict_batch(to_batch(batch.sources), attn_debug=False)
            produced += sum(len(each[0]) for each in found["predictions"])
        return produced

    return Prepared(translate, count(model))


def to_batch(sources: Any, targets: Any = ()) -> dict[str, Any]:
    """Return padded tensors, `(sentences, length)`, as the toolkit's data pipeline makes them."""
    batch: dict[str, Any] = {
        "src": torch.tensor(padded([[*ids, EOS] for ids in sources])),
        "srclen": torch.tensor([len(ids) + 1 for ids in sources]),
        "ind_in_bucket": torch.arange(len(sources)),
        "images": None,
        "prefix_len": None,
        "cid": ["corpus"] * len(sources),
        "cid_line_number": list(range(len(sources))),
    }
    if targets:
        batch["tgt"] = torch.tensor(padded([[BOS, *ids, EOS] for ids in targets]))
    return batch


if __name__ == "__main__":
    serve(prepare, "torch", "eole")
