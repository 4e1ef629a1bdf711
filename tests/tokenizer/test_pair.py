from __future__ import annotations

from pathlib import Path

import pytest
from syllables import TEXT, config

from translator.tokenizer import TokenizerError, Tokenizers


def test_joint_and_separate_vocabularies_are_saved_under_their_names(tmp_path: Path) -> None:
    pairs = list(zip(TEXT, (text.upper() for text in TEXT), strict=True))
    joint = Tokenizers.train(iter(pairs), config(), seed=1)
    separate = Tokenizers.train(iter(pairs), config(joint=False), seed=1)
    assert joint.is_joint and not separate.is_joint
    assert joint.fingerprint != separate.fingerprint
    for name, tokenizers, files in (
        ("joint", joint, {"tokenizer.model"}),
        ("separate", separate, {"source.model", "target.model"}),
    ):
        (tmp_path / name).mkdir()
        assert not Tokenizers.exist(tmp_path / name)
        with pytest.raises(TokenizerError, match=r"must be tokenizer.model, or source.model and target.model"):
            Tokenizers.load(tmp_path / name)
        tokenizers.save(tmp_path / name)
        assert Tokenizers.exist(tmp_path / name)
        assert {path.name for path in (tmp_path / name).iterdir()} == files
        loaded = Tokenizers.load(tmp_path / name)
        assert loaded.is_joint == tokenizers.is_joint
        assert loaded.fingerprint == tokenizers.fingerprint
    (tmp_path / "separate" / "target.model").unlink()
    with pytest.raises(TokenizerError, match="without them"):
        Tokenizers.load(tmp_path / "separate")
