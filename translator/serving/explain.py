"""Words, attention and n-best list of one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from translator.inference.translator import Translator
from translator.inspection.attention_maps import attention_maps
from translator.inspection.pages import attention_page
from translator.inspection.reading import read_sentence
from translator.serving.schema import Explanation, ScoredText, Word


def explain(translator: Translator, sentence: str, alternatives: int, prefix: str = "") -> Explanation:
    """Translate a sentence and return which source words each word of the translation attends to.

    There are no words if the translation is empty, or takes more tokens than the model has positions.

    Args:
        translator: translator with an encoder-decoder model.
        sentence: text that is not longer than the model takes.
        alternatives: number of translations besides the best.
        prefix: text that the translations must begin with.

    Raises:
        InspectionError: if the sentence is empty or too long, or the model has another architecture.
        DecodingError: if the prefix is too long.
    """
    sentence, source_ids = read_sentence(translator, sentence)
    count = alternatives + 1
    translation = translator.translate(
        sentence,
        target_prefix=prefix or None,
        num_hypotheses=count,
        beam_size=max(count, translator.decoding.beam_size),
    )
    translations = [ScoredText(text=found.text, score=found.score) for found in translation.hypotheses]
    source = translator.tokenizers.source.decode(source_ids)
    if not _fits(translator, translation.text):
        return Explanation(source=source, source_words=[], target_words=[], attention=[], translations=translations)
    maps = attention_maps(translator, sentence, translation.text)
    words = maps.cross.as_words()
    rows, source_words = _locate(words.keys, source)
    columns, target_words = _locate(words.queries, translation.text)
    weights = words.layers[-1].mean(axis=0)[columns][:, rows]
    return Explanation(
        source=source,
        source_words=source_words,
        target_words=target_words,
        attention=[[round(float(weight), 4) for weight in row] for row in weights],
        translations=translations,
    )


def attention_maps_page(translator: Translator, sentence: str) -> str:
    """Return a page with the attention maps of a sentence and its translation.

    Raises:
        InspectionError: as `explain`.
    """
    sentence, _ = read_sentence(translator, sentence)
    text = translator.translate(sentence).text
    maps = attention_maps(translator, sentence, text if _fits(translator, text) else None)
    return attention_page(maps, kind="cross", layer=len(maps.cross.layers), is_words=True)


def _fits(translator: Translator, text: str) -> bool:
    """Return True if the model can read a translation as its target."""
    return 0 < len(translator.tokenizers.target.encode(text)) < translator.engine.max_positions


def _locate(words: Sequence[str], text: str) -> tuple[list[int], list[Word]]:
    """Return the numbers and places of the words that the text contains: all but the special tokens."""
    numbers, places, position = [], [], 0
    for number, word in enumerate(words):
        start = text.find(word, position)
        if word and start >= 0:
            position = start + len(word)
            numbers.append(number)
            places.append(Word(start=start, end=position))
    return numbers, places
