"""The real trainer and the real decoders on CUDA tensors that hold nothing.

Every operation computes the shape, dtype and device of its result and no number. Where two devices meet, it is an
error; where the host would have to know a number that only the device knows (`.item()`, `.tolist()`, `nonzero`), too.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from translator.config import ModelConfig, validate
from translator.data.corpus import Corpus
from translator.model import build_model
from translator.model.base import DecodingState
from translator.model.caches import CrossMemory, KeyValueCache
from translator.model.static_decoding import StaticDecoder
from translator.packing import Packed
from translator.tokenizer import Tokenizers
from translator.training.parallel import Ranks
from translator.training.setup import Setup, prepare_corpus, prepare_tokenizers
from translator.training.trainer import Trainer

CUDA = torch.device("cuda", 0)
WORDS = {
    "un": "a", "chat": "cat", "chien": "dog", "voit": "sees", "aime": "likes", "rouge": "red", "petit": "small",
    "ici": "here", "demain": "tomorrow", "souvent": "often", "pain": "bread", "lait": "milk", "avec": "with",
}  # fmt: skip
MODEL = {
    "d_model": 32,
    "max_positions": 64,
    "d_ff": 64,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_heads": 2,
    "decoder_heads": 2,
}
DROPOUT = {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "translation": {},
    "translation by a decoder": {"architecture": "decoder_only"},
    "language_modeling": {"architecture": "decoder_only"},
    "masked_language_modeling": {"architecture": "encoder_only"},
    "classification": {"architecture": "encoder_only"},
}


class NothingWaits(TorchDispatchMode):
    """Refuses copies between host and device for which the host would wait."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is torch.ops.aten._to_copy.default and args[0].device != result.device:
            assert kwargs.get("non_blocking"), f"the host waits for a copy from {args[0].device} to {result.device}"
        if func is torch.ops.aten.copy_.default and args[0].device != args[1].device:
            is_asynchronous = kwargs.get("non_blocking") or args[2:] == (True,)
            assert is_asynchronous, f"the host waits for a copy from {args[1].device} to {args[0].device}"
        return result


@pytest.fixture(autouse=True)
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA seems present to whoever asks torch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a fake device")
    monkeypatch.setattr(torch.cuda, "Event", _Event)
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)  # what holds nothing has no pages
    monkeypatch.setattr(nn.Module, "to", moved)
    monkeypatch.setattr(
        fake_tensor, "CONSTANT_NUMEL_LIMIT", -1
    )  # small tensors made of Python's numbers hold nothing too


def moved(model: nn.Module, device: torch.device) -> nn.Module:
    """As `Module.to`, which exchanges what its tensors hold; fake tensors cannot be exchanged."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.detach().to(device))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
    return model


class _Event:
    def record(self) -> None:
        pass


class _OnTheHost:
    """Batches whose seeds hold numbers: the host draws from them before it copies them to the device."""

    def __init__(self, stream: Any, mode: FakeTensorMode) -> None:
        self._stream, self._mode = stream, mode

    def __next__(self) -> Any:
        with fake_tensor.unset_fake_temporarily():
            batches = next(self._stream)
        return [replace(batch._map(self._mode.from_tensor), seeds=batch.seeds) for batch in batches]


def rows_of(objective: str) -> list[str]:
    """A header, and lines of three to eight words, with another language or a label beside them."""
    rng = random.Random(1)
    texts = [rng.choices(list(WORDS), k=rng.randint(3, 8)) for _ in range(300)]
    match objective:
        case "translation":
            return ["fr\ten", *(" ".join(text) + "\t" + " ".join(WORDS[word] for word in text) for text in texts)]
        case "classification":
            return ["text\tlabel", *(" ".join(text) + "\t" + ("one", "other")["chat" in text] for text in texts)]
    return ["text", *(" ".join(text) for text in texts)]


Prepared = tuple[dict[str, Any], Path, Tokenizers, Corpus]


@pytest.fixture(scope="session", params=OBJECTIVES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The configuration of an objective, its run directory, tokenizers and corpus."""
    objective = request.param.split()[0]
    run = tmp_path_factory.mktemp(request.param.replace(" ", "-"))
    (run / "train.tsv").write_text("\n".join(rows_of(objective)) + "\n", encoding="utf-8")
    data: dict[str, Any] = {"train": str(run / "train.tsv"), "cache": str(run / "cache")}
    if objective == "translation":
        data |= {"source_language": "fr", "target_language": "en"}
    if objective == "classification":
        data["labels"] = ["one", "other"]
    values = {
        "output": str(run),
        "data": data,
        "tokenizer": {"vocab_size": 288, "sentinels": int(objective == "masked_language_modeling")},
        "model": MODEL | DROPOUT | OBJECTIVES[request.param],
        "training": {
            "objective": objective,
            "batch_tokens": 200,
            "accumulation": 2,
            "precision": "bfloat16",
            "ema_decay": 0.99,
            "weight_decay": 0.01,
        },
    }
    config = validate(values, "test")
    tokenizers = prepare_tokenizers(run, config, lambda _: None)
    return values, run, tokenizers, prepare_corpus(config, tokenizers, lambda _: None)


@pytest.mark.parametrize(("norm", "positions"), [("pre", "sinusoidal"), ("post", "learned"), ("post", "rotary")])
def test_a_training_step_stays_on_the_device_and_waits_for_nothing(
    prepared: Prepared, norm: str, positions: str
) -> None:
    values, run, tokenizers, corpus = prepared
    model = values["model"] | {"norm": norm, "positions": positions}
    config = validate(values | {"model": model}, "test")
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        trainer = Trainer(config, run, Ranks(0, 1, CUDA), Setup(tokenizers, corpus))
        trainer.state.stream = _OnTheHost(trainer.state.stream, mode)  # type: ignore[assignment]
        with NothingWaits():
            for _ in range(2):
                trainer.step(is_asked_to_stop=False)
    for parameter in trainer.model.parameters():
        assert isinstance(parameter.data, FakeTensor) and parameter.dtype == torch.float32
        assert parameter.device == CUDA and parameter.grad is not None and parameter.grad.device == CUDA


@pytest.mark.parametrize("compiles", [False, True])
def test_batches_are_padded_to_one_size_only_for_compiled_code(
    prepared: Prepared, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, run, tokenizers, corpus = prepared
    config = validate(values | {"training": values["training"] | {"compile": compiles}}, "test")
    shapes: set[tuple[torch.Size, ...]] = set()

    def record(batch: Any, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        shapes.add((batch.source.values.shape, batch.target_input.values.shape, batch.labels.shape))
        return torch.zeros((), device=CUDA), torch.ones((), device=CUDA)

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        trainer = Trainer(config, run, Ranks(0, 1, CUDA), Setup(tokenizers, corpus))
        stream = _OnTheHost(trainer.state.stream, mode)
        monkeypatch.setattr(trainer.gradients, "_forward_backward", record)
        for _ in range(2):
            trainer.gradients(next(stream))
    assert (len(shapes) == 1) == compiles


def test_what_is_refused_here_is_refused() -> None:
    """Two devices in one operation, numbers asked of the device, and copies that the host waits for."""
    with FakeTensorMode(), NothingWaits():
        there, here = torch.ones(3, device=CUDA), torch.ones(3)
        with pytest.raises(fake_tensor.FakeTensorDeviceMismatchError, match="same device"):
            there + here
        questions = [there.sum().item, there.nonzero, there.tolist, there.any().__bool__, lambda: there[there > 0]]
        for question in questions:
            with pytest.raises(RuntimeError):
                question()
        for copy in (lambda: here.to(CUDA), there.cpu, lambda: there.copy_(here), lambda: there.__setitem__(0, 1.0)):
            with pytest.raises(AssertionError, match="the host waits"):
                copy()


def model_on_cuda(**options: Any) -> Any:
    model = build_model(ModelConfig(**MODEL | options), 50, 50, num_labels=3)
    return moved(model, CUDA).eval()  # type: ignore[arg-type]


def on_cuda(*lengths: int) -> Packed:
    return Packed.from_sequences([list(range(4, 4 + length)) for length in lengths]).to(CUDA, non_blocking=True)


@pytest.mark.parametrize("attention", ["auto", "sdpa"])
@pytest.mark.parametrize("architecture", ["encoder_decoder", "decoder_only"])
def test_a_text_is_scored_on_the_device(architecture: str, attention: str) -> None:
    with FakeTensorMode(), torch.inference_mode():
        model = model_on_cuda(architecture=architecture, attention=attention)
        source, target = on_cuda(5, 3), on_cuda(4, 6)
        with NothingWaits():
            scores = model.logits(model(source, target)).log_softmax(dim=-1)
    assert scores.shape == (10, 50) and scores.device == CUDA


def test_a_text_is_classified_on_the_device() -> None:
    with FakeTensorMode(), torch.inference_mode():
        model = model_on_cuda(architecture="encoder_only", positions="rotary")
        source = on_cuda(5, 3)
        with NothingWaits():
            assert model.class_logits(source).softmax(dim=-1).device == CUDA


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
def test_a_step_of_decoding_in_static_memory_waits_for_nothing(positions: str) -> None:
    """So one CUDA graph can hold it."""
    with FakeTensorMode():
        decoder = StaticDecoder(model_on_cuda(positions=positions))
        source, tokens = on_cuda(5, 3, 7), torch.ones(3, dtype=torch.int64, device=CUDA)
        with NothingWaits():
            logits = decoder.step(tokens, decoder.start(source))
    assert logits.shape == (3, 50) and logits.device == CUDA


@pytest.mark.parametrize("architecture", ["encoder_decoder", "decoder_only"])
def test_steps_of_decoding_in_a_growing_cache_wait_for_nothing(architecture: str) -> None:
    with FakeTensorMode(), torch.inference_mode():
        model = model_on_cuda(architecture=architecture, positions="learned")
        keys, bias = torch.zeros(2, 2, 5, 16, device=CUDA), torch.zeros(2, 2, 1, 5, device=CUDA)
        state = DecodingState(0, 2, [KeyValueCache()], [CrossMemory(keys, keys, bias)])
        tokens = torch.ones(2, dtype=torch.int64, device=CUDA)
        with NothingWaits():
            for _ in range(2):
                assert model.step(tokens, state).device == CUDA
