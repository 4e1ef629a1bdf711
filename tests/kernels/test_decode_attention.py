"""Attention of one new token a row: through the ancestry as through copied caches, and split as unsplit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from translator.config import DecodingOptions, ModelConfig
from translator.decoding.request import Request
from translator.decoding.search import search
from translator.kernels import decode_attention, decode_cross_attention, reference
from translator.model import build_model
from translator.model.static_decoding import StaticDecoder
from translator.packing import cu_seqlens_of

BACKENDS = ["reference", "triton"]


@pytest.fixture
def place(request: pytest.FixtureRequest) -> torch.device:
    """Where a backend runs: plain torch anywhere, Triton where the `device` fixture says."""
    if "triton" in request.node.callspec.params.values():
        chosen: torch.device = request.getfixturevalue("device")
        return chosen
    return torch.device("cpu")


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def plain(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """`(heads, head_dim)` over `(length, heads, head_dim)`, in float64."""
    q, keys, values = (x.double() for x in (q, keys, values))
    weights = torch.softmax(torch.einsum("hd,thd->ht", q, keys) * q.shape[-1] ** -0.5, dim=-1)
    return torch.einsum("ht,thd->hd", weights, values)


@pytest.mark.parametrize("head_dim", [16, 24])
@pytest.mark.parametrize("backend", BACKENDS)
def test_ancestry_gives_the_results_of_copied_caches(place: torch.device, backend: str, head_dim: int) -> None:
    """A beam search with random parents, whose caches are copied beside."""
    rows, heads, capacity = 3, 2, 70
    keys, values = (torch.full((capacity, rows, heads, head_dim), torch.nan, device=place) for _ in range(2))
    ancestry = torch.zeros(rows, capacity, dtype=torch.int32, device=place)
    copied_keys, copied_values = torch.zeros(2, rows, capacity, heads, head_dim).unbind()
    for position in range(capacity):
        new = normal(3, rows, heads, head_dim, seed=position)
        keys[position], values[position] = new[0].to(place), new[1].to(place)
        copied_keys[:, position], copied_values[:, position] = new[0], new[1]
        ancestry[:, position] = torch.arange(rows, device=place)
        if position in (0, 1, 31, 32, 69):
            length = torch.tensor([position + 1], dtype=torch.int32, device=place)
            out = decode_attention(new[2].to(place), keys, values, length, ancestry, backend=backend).cpu()
            for row in range(rows):
                right = plain(new[2, row], copied_keys[row, : position + 1], copied_values[row, : position + 1])
                torch.testing.assert_close(out[row].double(), right, atol=1e-6, rtol=1e-5)
        parents = torch.randint(rows, (rows,), generator=torch.Generator().manual_seed(position))
        copied_keys, copied_values = copied_keys[parents], copied_values[parents]
        ancestry = ancestry[parents.to(place)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_ancestry_each_row_reads_its_own_slot(place: torch.device, backend: str) -> None:
    q, keys, values = normal(3, 2, 16).to(place), normal(40, 4, 2, 16, seed=1).to(place), normal(40, 4, 2, 16).to(place)
    length = torch.tensor([33], dtype=torch.int32, device=place)
    ancestry = torch.arange(3, dtype=torch.int32, device=place)[:, None].repeat(1, 40)
    ours = decode_attention(q, keys, values, length, backend=backend)
    torch.testing.assert_close(ours, decode_attention(q, keys, values, length, ancestry, backend=backend))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_history_gives_zeros(place: torch.device, backend: str) -> None:
    cache = torch.full((40, 2, 2, 16), torch.nan, device=place)
    length = torch.zeros(1, dtype=torch.int32, device=place)
    assert not decode_attention(normal(2, 2, 16).to(place), cache, cache, length, backend=backend).any()


@pytest.mark.parametrize("beams", [1, 4, 16, 37])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_beams_of_a_sentence_share_its_keys(place: torch.device, backend: str, beams: int) -> None:
    lengths = [37, 0, 5]
    q = normal(len(lengths) * beams, 2, 24)
    keys, values = normal(sum(lengths), 2, 2, 24, seed=1).unbind(1)
    offsets = cu_seqlens_of(torch.tensor(lengths))
    arguments = (x.to(place) for x in (q, keys, values, offsets[:-1], offsets.diff()))
    out = decode_cross_attention(*arguments, 37, backend=backend).cpu()
    for row, (mine, query) in enumerate(zip(out, q, strict=True)):
        sentence = slice(int(offsets[row // beams]), int(offsets[row // beams + 1]))
        right = plain(query, keys[sentence], values[sentence]) if lengths[row // beams] else torch.zeros(2, 24)
        torch.testing.assert_close(mine.double(), right.double(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_indices_need_not_be_contiguous(place: torch.device, backend: str) -> None:
    q, keys, values = (normal(rows, 2, 16, seed=rows).to(place) for rows in (2, 7, 7))
    starts, lengths = torch.tensor([[0, 3], [3, 4]], dtype=torch.int32, device=place).unbind(1)
    spread = decode_cross_attention(q, keys, values, starts, lengths, 4, backend=backend)
    together = decode_cross_attention(q, keys, values, starts.clone(), lengths.clone(), 4, backend=backend)
    assert torch.equal(together, spread)
    cache, length = normal(3, 2, 2, 16).to(place), torch.tensor([3], dtype=torch.int32, device=place)
    ancestry = torch.tensor([[0, 1], [1, 1], [1, 0]], dtype=torch.int32, device=place).T
    spread = decode_attention(q, cache, cache, length, ancestry, backend=backend)
    assert torch.equal(decode_attention(q, cache, cache, length, ancestry.contiguous(), backend=backend), spread)


@pytest.mark.parametrize("enough_programs", [1, 8])
def test_splitting_the_keys_changes_nothing_but_rounding(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, enough_programs: int
) -> None:
    triton_decode = pytest.importorskip("translator.kernels.triton_decode")
    monkeypatch.setattr(triton_decode, "_MIN_PROGRAMS", enough_programs)
    splits, keys_in_split = triton_decode._split(2, 100)
    assert splits == (1 if enough_programs == 1 else 4) and splits * keys_in_split >= 100
    q, keys, values = normal(1, 2, 16), normal(100, 1, 2, 16, seed=1), normal(100, 1, 2, 16, seed=2)
    length = torch.tensor([50], dtype=torch.int32)  # the last split has no key
    arguments = [x.to(device) for x in (q, keys, values, length)]
    right = reference.decode_attention(q, keys, values, length, None, scale=0.25)
    torch.testing.assert_close(decode_attention(*arguments, backend="triton").cpu(), right)
    start = torch.zeros(1, dtype=torch.int32, device=device)
    packed = (arguments[0], arguments[1].squeeze(1), arguments[2].squeeze(1))
    cross = decode_cross_attention(*packed, start, arguments[3], 100, backend="triton")
    torch.testing.assert_close(cross.cpu(), right)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_close_to_float64(device: torch.device, dtype: torch.dtype) -> None:
    q, keys, values = (
        normal(2, 2, 16, dtype=dtype),
        normal(40, 2, 2, 16, dtype=dtype),
        normal(40, 2, 2, 16, dtype=dtype),
    )
    length = torch.tensor([40], dtype=torch.int32)
    exact = reference.decode_attention(q.double(), keys.double(), values.double(), length, None, scale=0.25)
    out = decode_attention(*(x.to(device) for x in (q, keys, values, length)), backend="triton")
    assert out.dtype == dtype
    torch.testing.assert_close(out.cpu().double(), exact, atol=1e-2, rtol=1e-2)
    start, whole = torch.tensor([0], dtype=torch.int32), torch.tensor([40], dtype=torch.int32)
    packed = [x.to(device) for x in (q, keys[:, 0].contiguous(), values[:, 0].contiguous(), start, whole)]
    cross = decode_cross_attention(*packed, 40, backend="triton")
    torch.testing.assert_close(cross[0].cpu().double(), exact[0], atol=1e-2, rtol=1e-2)


def test_the_operators_are_well_formed(device: torch.device) -> None:
    triton_decode = pytest.importorskip("translator.kernels.triton_decode")
    q, cache = normal(2, 2, 16).to(device), normal(40, 2, 2, 16).to(device)
    length = torch.tensor([7], dtype=torch.int32, device=device)
    ancestry = torch.zeros(2, 40, dtype=torch.int32, device=device)
    for index in (ancestry, None):
        torch.library.opcheck(triton_decode.triton_decode_attention, (q, cache, cache, length, index, 0.3))
    start, whole = (torch.tensor([number], dtype=torch.int32, device=device) for number in (0, 40))
    packed = cache[:, 0].contiguous()
    torch.library.opcheck(triton_decode.triton_decode_cross_attention, (q, packed, packed, start, whole, 40, 0.3))


def test_invalid_arguments_are_refused() -> None:
    q, cache, length = normal(2, 2, 16), normal(8, 2, 2, 16), torch.ones(1, dtype=torch.int32)
    with pytest.raises(ValueError, match="keys and values of 4 dimensions"):
        decode_attention(q, cache[0], cache[0], length)
    with pytest.raises(ValueError, match="one floating-point dtype"):
        decode_attention(q, cache.double(), cache.double(), length)
    with pytest.raises(ValueError, match="must be int32"):
        decode_attention(q, cache, cache, length.long())
    with pytest.raises(ValueError, match="one device"):
        decode_attention(q, cache, cache, length.to("meta"))
    with pytest.raises(ValueError, match="contiguous in their last dimension"):
        decode_attention(q, cache.transpose(2, 3).contiguous().transpose(2, 3), cache, length)
    with pytest.raises(ValueError, match="a slot for each row"):
        decode_attention(q, cache[:, :1], cache[:, :1], length)
    with pytest.raises(ValueError, match=r"ancestry must be \(rows, positions\)"):
        decode_attention(q, cache, cache, length, torch.zeros(2, 7, dtype=torch.int32))
    with pytest.raises(ValueError, match="each sentence have as many rows"):
        three = torch.zeros(3, dtype=torch.int32)
        decode_cross_attention(q, cache[:, 0], cache[:, 0], three, three, 4)


@pytest.fixture(params=["reference", "auto"])
def checking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend that checks numbers: the reference always does, others where they are asked to."""
    if request.param == "auto":
        monkeypatch.setenv("TRANSLATOR_CHECK", "1")
    return request.param


@pytest.mark.parametrize("length", [-1, 9])
def test_a_history_longer_than_its_cache_is_refused(checking: str, length: int) -> None:
    q, cache = normal(2, 2, 16), normal(8, 2, 2, 16)
    decode_attention(q, cache, cache, torch.tensor([8], dtype=torch.int32), backend=checking)
    with pytest.raises(ValueError, match=rf"length must be within the cache's 8 positions\. Received: {length}\."):
        decode_attention(q, cache, cache, torch.tensor([length], dtype=torch.int32), backend=checking)


@pytest.mark.parametrize("slot", [-1, 2])
def test_ancestors_outside_the_cache_are_refused(checking: str, slot: int) -> None:
    q, cache = normal(2, 2, 16), normal(8, 2, 2, 16)
    ancestry, length = torch.zeros(2, 8, dtype=torch.int32), torch.tensor([3], dtype=torch.int32)
    ancestry[1, 2] = slot
    with pytest.raises(ValueError, match=rf"slots of the cache, 0 to 1\. Received: \[{slot}\]\."):
        decode_attention(q, cache, cache, length, ancestry, backend=checking)
    length.fill_(2)  # past which nothing is read
    decode_attention(q, cache, cache, length, ancestry, backend=checking)


@pytest.mark.parametrize(
    ("starts", "lengths", "expected"),
    [
        ([0, 4], [4, 4], r"among the 7 there are\. Received: 4 from 4 on\."),
        ([0, -1], [4, 3], r"among the 7 there are\. Received: 3 from -1 on\."),
        ([0, 4], [4, -1], r"among the 7 there are\. Received: -1 from 4 on\."),
        ([0, 0], [4, 5], r"may be longer than max_seqlen, 4\. Received: 5 keys\."),
    ],
)
def test_sentences_outside_the_keys_are_refused(
    checking: str, starts: list[int], lengths: list[int], expected: str
) -> None:
    q, keys = normal(2, 2, 16), normal(7, 2, 16)
    right, wrong = (
        [torch.tensor(x, dtype=torch.int32) for x in pair] for pair in (([0, 4], [4, 3]), (starts, lengths))
    )
    decode_cross_attention(q, keys, keys, *right, 4, backend=checking)
    with pytest.raises(ValueError, match=expected):
        decode_cross_attention(q, keys, keys, *wrong, 4, backend=checking)


def test_compiled_code_does_not_synchronize_with_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSLATOR_CHECK", "1")
    q, cache, length = normal(2, 2, 16), normal(8, 2, 2, 16), torch.tensor([3], dtype=torch.int32)
    compiled = torch.compile(decode_attention, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(q, cache, cache, length), decode_attention(q, cache, cache, length))


def test_a_model_decodes_through_the_kernels(device: torch.device) -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_ff": 32, "encoder_layers": 1, "decoder_layers": 1}
    model = build_model(ModelConfig(**sizes, encoder_heads=2, decoder_heads=2), 20, 20).to(device).eval()
    requests, options = [Request((5, 6, 7), 3), Request((9,), 4)], DecodingOptions(beam_size=2)
    ours = search(StaticDecoder(model, backend="triton"), requests, options, device)
    for mine, right in zip(ours, search(model, requests, options, device), strict=True):
        assert mine[0].tokens == right[0].tokens
        assert mine[0].score == pytest.approx(right[0].score, abs=1e-5)
