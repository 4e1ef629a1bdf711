from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import sentencepiece as spm
from syllables import TEXT

from translator.tokenizer import Tokenizer, TokenizerError


@pytest.mark.parametrize(("name", "best"), [("tokenizer", 500.0), ("bpe", 0.0)])
def test_at_the_limit_of_alpha_a_sample_is_the_best_segmentation(
    name: str, best: float, request: pytest.FixtureRequest
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    same = sum(tokenizer.sample(text, best, seed=1) == tokenizer.encode(text) for text in TEXT[:300])
    assert same >= (300 if name == "bpe" else 290)  # unigram splits can tie
    assert tokenizer.sample("é😀 «", best, seed=1) == tokenizer.encode("é😀 «")


@pytest.mark.parametrize("name", ["tokenizer", "bpe"])
def test_samples_differ_by_seed_and_always_spell_the_text(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    text = TEXT[3] + " l’œuvre 😀"
    samples = [tokenizer.sample(text, 0.2, seed) for seed in range(50)]
    assert len({tuple(ids) for ids in samples}) > 25
    assert {tokenizer.decode(ids) for ids in samples} == {tokenizer.decode(tokenizer.encode(text))}
    assert tokenizer.sample("", 0.2, 1) == []


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_unigram_samples_have_the_distribution_of_sentencepiece(tokenizer: Tokenizer, alpha: float) -> None:
    processor = spm.SentencePieceProcessor(model_proto=tokenizer.to_bytes())
    text, count = "conél'apiru 漢", 6000
    ours = Counter(tuple(tokenizer.sample(text, alpha, seed)) for seed in range(count))
    theirs = Counter(
        tuple(processor.encode(text, enable_sampling=True, alpha=alpha, nbest_size=-1)) for _ in range(count)
    )
    distance = sum(abs(ours[split] - theirs[split]) for split in {*ours, *theirs}) / (2 * count)
    expected = 0.4 * (len({*ours, *theirs}) / (count / 2)) ** 0.5  # of two samples of one distribution, about
    assert distance < 1.5 * expected


SAMPLES = """
import sys
from translator.tokenizer import Tokenizer
tokenizer = Tokenizer.load(sys.argv[1])
print([tokenizer.sample("bafé pimo l'ara to ru vico", 0.1, seed) for seed in range(200)])
"""


@pytest.mark.parametrize("name", ["tokenizer", "bpe"])
def test_a_sample_is_the_same_in_every_process_and_thread(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    tokenizer.save(tmp_path / "x.model")

    def samples() -> list[list[int]]:
        return [tokenizer.sample("bafé pimo l'ara to ru vico", 0.1, seed) for seed in range(200)]

    here = samples()
    results: list[list[list[int]]] = []
    threads = [threading.Thread(target=lambda: results.append(samples())) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads alternate within a sample
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert results == [here] * 3
    command = [sys.executable, "-c", SAMPLES, str(tmp_path / "x.model")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert answer.stdout.strip() == str(here)


def test_pieces_across_words_cannot_be_sampled(tmp_path: Path) -> None:
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["ba co ba co ba co"] * 50),
        model_prefix=str(tmp_path / "x"),
        vocab_size=12,
        hard_vocab_limit=False,
        split_by_whitespace=False,
        minloglevel=2,
    )
    tokenizer = Tokenizer.load(tmp_path / "x.model")
    with pytest.raises(TokenizerError, match="requires pieces within words"):
        tokenizer.sample("ba co", 0.1, 1)
