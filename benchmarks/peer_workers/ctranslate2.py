"""CTranslate2 with this project's model, converted before."""

from __future__ import annotations

import json
from pathlib import Path

import ctranslate2
from peer_workers.worker import DecodingBatch, Job, Prepared, serve


def prepare(job: Job) -> Prepared:
    """Return the translation by the model of a job: batches in parallel, on one thread each."""
    if job.model is None:
        raise ValueError("CTranslate2 requires a converted model.")
    names: list[str] = json.loads((Path(job.model) / "names.json").read_text(encoding="utf-8"))
    engine = ctranslate2.Translator(job.model, compute_type=job.precision, inter_threads=job.threads, intra_threads=1)

    def translate(batches: list[DecodingBatch], beams: int) -> int:
        running = [
            engine.translate_batch(
                [[names[token] for token in ids] for ids in batch.sources],
                beam_size=beams,
                min_decoding_length=batch.length,
                max_decoding_length=batch.length,
                asynchronous=True,
            )
            for batch in batches
        ]
        return sum(len(each.result().hypotheses[0]) for found in running for each in found)

    return Prepared(translate, None)


if __name__ == "__main__":
    serve(prepare, "ctranslate2")
