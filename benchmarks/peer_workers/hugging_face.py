"""Hugging Face's `MarianMTModel`: a hand-written training loop, and `generate`."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import torch
from marian import build_marian
from peer_workers.worker import BOS, EOS, PAD, DecodingBatch, Job, Prepared, Steps, count, padded, serve
from torch import Tensor
from torch.nn import functional as F
from transformers import MarianMTModel


def model_of(job: Job) -> MarianMTModel:
    """Return the model of a job."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(1)
    rate = job.dropout
    return build_marian(job.shape, job.vocab_size, (PAD, BOS, EOS), dropout=rate, activation_dropout=rate)


def to_inputs(pairs: list[tuple[list[int], list[int]]]) -> dict[str, Tensor]:
    """Return the padded arguments of the model for a batch of pairs, without labels."""
    source = torch.tensor(padded([[*ids, EOS] for ids, _ in pairs]))
    target = torch.tensor(padded([[BOS, *ids] for _, ids in pairs]))
    return {"input_ids": source, "attention_mask": (source != PAD).long(), "decoder_input_ids": target}


def autocast(job: Job) -> torch.autocast:
    """Return autocast to bfloat16, disabled in float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bfloat16")


def prepare(job: Job) -> Prepared:
    """Return the model of a job."""
    model = model_of(job)
    if job.task == "training":
        return Prepared(training(model.train(), job), count(model))
    model.eval()

    @torch.inference_mode()
    def translate(batches: list[DecodingBatch], beams: int) -> int:
        produced = 0
        for batch in batches:
            source = torch.tensor(padded([[*ids, EOS] for ids in batch.sources]))
            options: dict[str, Any] = {"min_new_tokens": batch.length, "max_new_tokens": batch.length}
            with autocast(job):
                found = model.generate(
                    input_ids=source,
                    attention_mask=(source != PAD).long(),
                    do_sample=False,
                    num_beams=beams,
                    **options,
                )
            produced += found[:, 1:].numel()  # after BOS
        return produced

    return Prepared(translate, count(model))


def training(model: MarianMTModel, job: Job) -> Steps:
    """Return steps that project only real tokens onto the vocabulary."""
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    labels = [torch.tensor([token for _, ids in pairs for token in (*ids, EOS)]) for pairs in job.training]
    batches = cycle([(to_inputs(pairs), label) for pairs, label in zip(job.training, labels, strict=True)])

    def steps(number: int) -> None:
        for _ in range(number):
            inputs, label = next(batches)
            with autocast(job):
                hidden = model.model(**inputs, use_cache=False).last_hidden_state
                logits = model.lm_head(hidden[inputs["decoder_input_ids"] != PAD])
                loss = F.cross_entropy(logits, label, label_smoothing=job.label_smoothing)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return steps


if __name__ == "__main__":
    serve(prepare, "torch", "transformers")
