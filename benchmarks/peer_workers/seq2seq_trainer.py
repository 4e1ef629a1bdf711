"""Hugging Face's `Seq2SeqTrainer` with `MarianMTModel`."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from peer_workers.hugging_face import model_of, to_inputs
from peer_workers.worker import EOS, Elapsed, Job, Prepared, count, now, padded, serve, since
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

IGNORED = -100  # label of padding


class Batches(Dataset[dict[str, Tensor]]):
    """The batches of a job: the trainer shuffles and collates items, each of which is a batch here."""

    def __init__(self, job: Job) -> None:
        self.batches = [to_inputs(pairs) | {"labels": labels_of(pairs)} for pairs in job.training]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.batches[index]


class StepClock(TrainerCallback):
    """Time from the start of the first step of `train` to the end of the last."""

    def __init__(self) -> None:
        self.elapsed: Elapsed | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock at the first step."""
        if state.global_step == 0:
            self._start = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Read the clock."""
        self.elapsed = since(self._start)


def labels_of(pairs: list[tuple[list[int], list[int]]]) -> Tensor:
    """Return padded labels."""
    return torch.tensor(padded([[*ids, EOS] for _, ids in pairs], IGNORED))


def only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the one item of a list: a batch."""
    (item,) = items
    return item


def prepare(job: Job) -> Prepared:
    """Return the trainer of a job."""
    model = model_of(job)
    options: dict[str, Any] = {"save_strategy": "no", "logging_strategy": "no", "report_to": "none"}
    arguments = Seq2SeqTrainingArguments(
        output_dir=tempfile.gettempdir(),
        use_cpu=True,
        bf16=job.precision == "bfloat16",
        per_device_train_batch_size=1,
        label_smoothing_factor=job.label_smoothing,
        max_grad_norm=1.0,
        learning_rate=1e-4,
        remove_unused_columns=False,
        disable_tqdm=True,
        **options,
    )
    clock = StepClock()
    trainer = Seq2SeqTrainer(
        model=model, args=arguments, train_dataset=Batches(job), data_collator=only, callbacks=[clock]
    )

    def steps(number: int) -> Elapsed | None:
        arguments.max_steps = number
        trainer.train()  # each call also prepares the model and the data loader
        return clock.elapsed

    return Prepared(steps, count(model))


if __name__ == "__main__":
    serve(prepare, "torch", "transformers", "accelerate")
