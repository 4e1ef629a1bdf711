"""This project's model: packed batches, its own training pass, optimizer and search."""

from __future__ import annotations

from itertools import cycle

import torch
from decoding import ours
from peer_workers.worker import DecodingBatch, Job, Prepared, Steps, count, serve
from workload import PackedBatch, Shape, our_model

from translator.config import TrainingConfig
from translator.engines.hardware import set_precision
from translator.model import EncoderDecoder
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID
from translator.training.forward_backward import ForwardBackward
from translator.training.memory import bound_primitive_caches, keep_freed_memory
from translator.training.optimizer import build_optimizer


def prepare(job: Job) -> Prepared:
    """Return the model of a job, with the settings that the `translator` command makes."""
    bound_primitive_caches()
    keep_freed_memory()
    torch.set_num_threads(job.threads)
    torch.manual_seed(1)
    rate = job.dropout if job.task == "training" else 0.0
    model = our_model(Shape(**vars(job.shape)), job.vocab_size, rate, rate, rate)
    parameters = count(model)
    if job.task == "training":
        return Prepared(training(model, job), parameters)
    set_precision(model.eval(), job.precision, torch.device("cpu"))  # type: ignore[arg-type]

    def translate(batches: list[DecodingBatch], beams: int) -> int:
        return ours(model, [[torch.tensor([*ids, EOS_ID]) for ids in batch.sources] for batch in batches], beams)

    return Prepared(translate, parameters)


def training(model: EncoderDecoder, job: Job) -> Steps:
    """Return the steps of the `train` command: gradients, their mean and norm, and the fused optimizer."""
    options = TrainingConfig()
    learn = ForwardBackward(model.train(), options, getattr(torch, job.precision), static_shapes=False)
    optimizer = build_optimizer(model, options, getattr(torch, job.precision))
    batches = cycle([packed(pairs) for pairs in job.training])
    parameters = list(model.parameters())

    def steps(number: int) -> None:
        for _ in range(number):
            batch = next(batches)
            learn(batch, 0, torch.arange(batch.source.num_sequences))
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            torch._foreach_div_(gradients, len(batch.labels))
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return steps


def packed(pairs: list[tuple[list[int], list[int]]]) -> PackedBatch:
    """Return a packed batch of pairs."""
    return PackedBatch(
        Packed.from_sequences([[*source, EOS_ID] for source, _ in pairs]),
        Packed.from_sequences([[BOS_ID, *target] for _, target in pairs]),
        torch.tensor([token for _, target in pairs for token in (*target, EOS_ID)]),
    )


if __name__ == "__main__":
    serve(prepare, "torch")
