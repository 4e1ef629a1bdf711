"""A hand-written loop around a padded `torch.nn.Transformer`, with the settings that this project's own runs have."""

from __future__ import annotations

import torch
from decoding import padded_greedy
from peer_workers.worker import DecodingBatch, Job, Prepared, count, padded, serve
from torch import Tensor
from training_step import training_step
from workload import PAD_ID, PaddedBatch, PaddedTransformer, Shape

from translator.tokenizer import BOS_ID, EOS_ID
from translator.training.memory import bound_primitive_caches, keep_freed_memory


def prepare(job: Job) -> Prepared:
    """Return the pre-norm model of a job; bfloat16 is autocast."""
    bound_primitive_caches()
    keep_freed_memory()
    torch.set_num_threads(job.threads)
    torch.manual_seed(1)
    model = PaddedTransformer(Shape(**vars(job.shape)), job.vocab_size, job.dropout, pre_norm=True)

    def translate(batches: list[DecodingBatch], beams: int) -> int:
        if beams > 1:
            raise ValueError(f"the loop around nn.Transformer has no beam search. Received: {beams} beams.")
        with autocast():
            return padded_greedy(model, [[torch.tensor([*ids, EOS_ID]) for ids in each.sources] for each in batches])

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bfloat16")

    if job.task == "decoding":
        model.eval()
        return Prepared(translate, count(model))

    def loss(batch: PaddedBatch) -> tuple[Tensor, int]:
        with autocast():
            return model.loss(batch)

    step = training_step(model, [to_batch(pairs) for pairs in job.training], loss)

    def steps(number: int) -> None:
        for _ in range(number):
            step()

    return Prepared(steps, count(model))


def to_batch(pairs: list[tuple[list[int], list[int]]]) -> PaddedBatch:
    """Return a padded batch of pairs."""
    source = torch.tensor(padded([[*ids, EOS_ID] for ids, _ in pairs], PAD_ID))
    target = torch.tensor(padded([[BOS_ID, *ids] for _, ids in pairs], PAD_ID))
    labels = torch.tensor([token for _, ids in pairs for token in (*ids, EOS_ID)])
    padding = source == PAD_ID
    return PaddedBatch(source, padding if bool(padding.any()) else None, target, labels, target != PAD_ID)


if __name__ == "__main__":
    serve(prepare, "torch")
