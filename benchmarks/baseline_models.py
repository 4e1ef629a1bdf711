"""Models of other toolkits as baselines of the benchmarks: same shape, random weights.

Their packages are not dependencies of this project. Baselines whose package cannot be imported are skipped, with a
message on stderr.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from workload import LABEL_SMOOTHING, PAD_ID, PaddedBatch, Shape, model_config, our_model

from translator.tokenizer import BOS_ID, EOS_ID


def is_installed(package: str) -> bool:
    """Return True if the package of a baseline can be imported; otherwise print why not."""
    try:
        importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: a shared library is missing
        print_skipped(f"package {package}", error)
        return False
    return True


def print_skipped(name: str, error: Exception) -> None:
    """Print which baseline is not measured, and why."""
    print(f"# skipped: {name}: {str(error).strip().splitlines()[0]}", file=sys.stderr)


class Marian(nn.Module):
    """Hugging Face's `MarianMTModel`, with tied embeddings and `scaled_dot_product_attention`."""

    def __init__(self, shape: Shape, vocab_size: int, dropout: float) -> None:
        super().__init__()
        from marian import build_marian  # transformers may be missing

        ids = (PAD_ID, BOS_ID, EOS_ID)
        self.marian = build_marian(shape, vocab_size, ids, dropout=dropout, activation_dropout=0.0)

    def loss(self, batch: PaddedBatch) -> tuple[Tensor, int]:
        """Return the summed, smoothed loss and its number of tokens. Padding is not projected onto the vocabulary."""
        hidden = self.marian.model(
            input_ids=batch.source,
            attention_mask=None if batch.source_padding is None else (~batch.source_padding).long(),
            decoder_input_ids=batch.target_input,
            use_cache=False,
        ).last_hidden_state
        logits = self.marian.lm_head(hidden[batch.is_token])
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")
        return loss, len(batch.labels)

    @torch.inference_mode()
    def translate(self, source: Tensor, length: int, beams: int) -> int:
        """Translate padded sources `(sentences, length)` to `length` tokens each, and return the number of tokens."""
        found = self.marian.generate(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            do_sample=False,
            num_beams=beams,
            min_new_tokens=length,
            max_new_tokens=length,
        )
        return found[:, 1:].numel()  # after BOS


def save_for_ctranslate2(shape: Shape, vocab_size: int, folder: Path) -> list[str]:
    """Write this project's model, with random weights, in CTranslate2's format, and its tokens to `names.json`."""
    from translator.engines.ctranslate2_model import specification_of

    names = ["<unk>", "<s>", "</s>", *(f"token {i}" for i in range(3, vocab_size))]
    spec = specification_of(model_config(shape), our_model(shape, vocab_size), names, names)
    spec.validate()
    spec.optimize()
    folder.mkdir(exist_ok=True)
    spec.save(str(folder))
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    return names


class CTranslate2:
    """A CTranslate2 translator of this project's model, with random weights.

    Args:
        shape: size of the model.
        vocab_size: size of the vocabulary.
        device: cpu or cuda.
        compute_type: precision of the computation, as CTranslate2 names it.
    """

    def __init__(self, shape: Shape, vocab_size: int, device: str, compute_type: str) -> None:
        import ctranslate2

        with tempfile.TemporaryDirectory() as folder:
            self.names = save_for_ctranslate2(shape, vocab_size, Path(folder))
            # As ours on the CPU: batches in parallel, one thread each.
            options = {"compute_type": compute_type, "inter_threads": torch.get_num_threads(), "intra_threads": 1}
            self.translator = ctranslate2.Translator(folder, device=device, **options)

    def translate(self, source: Tensor, length: int, beams: int) -> int:
        """Translate as `Marian.translate` does."""
        found = self.translator.translate_batch(
            # CTranslate2 appends EOS itself.
            [[self.names[token] for token in row if token not in (PAD_ID, EOS_ID)] for row in source.tolist()],
            beam_size=beams,
            min_decoding_length=length,
            max_decoding_length=length,
        )
        return sum(len(each.hypotheses[0]) for each in found)
