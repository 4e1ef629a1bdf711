"""JoeyNMT: its model, loss, batch, optimizer and `search`, in the loop of its `TrainManager`."""

from __future__ import annotations

from itertools import cycle
from types import SimpleNamespace
from typing import Any

import torch
from joeynmt.batch import Batch
from joeynmt.builders import build_gradient_clipper, build_optimizer
from joeynmt.model import build_model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary
from peer_workers.worker import BOS, EOS, FIRST_TOKEN, PAD, DecodingBatch, Job, Prepared, count, padded, serve

CPU = torch.device("cpu")


def model_of(job: Job) -> Any:
    """Return the pre-norm model of a job with tied embeddings."""
    special = {"unk": "<unk>", "pad": "<pad>", "bos": "<s>", "eos": "</s>", "sep": None}
    ids = {"unk_id": 0, "pad_id": PAD, "bos_id": BOS, "eos_id": EOS, "sep_id": None}
    names = SimpleNamespace(**{f"{name}_token": token for name, token in special.items()}, **ids, lang_tags=[])
    vocabulary = Vocabulary([f"t{number}" for number in range(FIRST_TOKEN, job.vocab_size)], names)
    shape = job.shape
    stack = {
        "type": "transformer",
        "num_layers": shape.layers,
        "num_heads": shape.heads,
        "hidden_size": shape.d_model,
        "ff_size": shape.d_ff,
        "dropout": job.dropout,
        "layer_norm": "pre",
        "embeddings": {"embedding_dim": shape.d_model, "scale": True, "dropout": job.dropout},
    }
    model = build_model(
        {"encoder": stack, "decoder": stack, "tied_embeddings": True, "tied_softmax": True}, vocabulary, vocabulary
    )
    model.loss_function = ("crossentropy", job.label_smoothing)
    return model


def prepare(job: Job) -> Prepared:
    """Return the model of a job."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(1)
    model = model_of(job)
    if job.task == "training":
        model.train()
        options = {"optimizer": "adam", "learning_rate": 1e-4, "adam_betas": (0.9, 0.98)}
        optimizer = build_optimizer(options, model.parameters())
        clip = build_gradient_clipper({"clip_grad_val": None, "clip_grad_norm": 1.0})
        batches = cycle([to_batch(*zip(*pairs, strict=True)) for pairs in job.training])

        def steps(number: int) -> None:
            for _ in range(number):
                batch = next(batches)
                batch.sort_by_src_length()
                loss, _, _, _ = model(return_type="loss", **vars(batch))
                batch.normalize(loss, normalization="tokens").backward()
                clip(parameters=model.parameters())
                optimizer.step()
                optimizer.zero_grad()

        return Prepared(steps, count(model))
    model.eval()

    def translate(batches: list[DecodingBatch], beams: int) -> int:
        produced = 0
        for batch in batches:
            found, _, _ = search(
                model,
                to_batch(batch.sources),
                max_output_length=batch.length,
                beam_size=beams,
                beam_alpha=-1,
                min_output_length=batch.length,
            )
            produced += int((found != PAD).sum())
        return produced

    return Prepared(translate, count(model))


def to_batch(sources: Any, targets: Any = ()) -> Batch:
    """Return a batch of the toolkit, with its masks."""
    target = torch.tensor(padded([[BOS, *ids, EOS] for ids in targets])) if targets else None
    return Batch(
        src=torch.tensor(padded([[*ids, EOS] for ids in sources])),
        src_length=torch.tensor([len(ids) + 1 for ids in sources]),
        src_prompt_mask=None,
        trg=target,
        trg_prompt_mask=None,
        indices=torch.arange(len(sources)),
        device=CPU,
        pad_index=PAD,
        eos_index=EOS,
        is_train=bool(targets),
    )


if __name__ == "__main__":
    serve(prepare, "torch", "joeynmt")
