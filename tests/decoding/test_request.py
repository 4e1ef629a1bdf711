from __future__ import annotations

import torch

from translator.decoding.request import Request, pack_sources
from translator.tokenizer import EOS_ID


def test_sources_are_packed_with_their_eos() -> None:
    packed = pack_sources([Request((4, 5), 9), Request((), 3)], torch.device("cpu"))
    assert [ids.tolist() for ids in packed.unpack()] == [[4, 5, EOS_ID], [EOS_ID]]


def test_equal_requests_are_one_key() -> None:
    assert len({Request((4, 5), 9), Request((4, 5), 9), Request((4, 5), 8)}) == 2
