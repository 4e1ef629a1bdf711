"""Words, attention and n-best list of one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from translator.config import change_decoding
from translator.engines.torch_engine import TorchEngine
from translator.inference.translator import Translator
from translator.inspection.attention_maps import AttentionMap, attention_maps
from translator.inspection.pages import attention_page
from translator.inspection.reading import read_sentence
from translator.model import EncoderDecoder
from translator.serving.schema import Explanation, ScoredText, Word


def explain(translator: Translator, sentence: str, alternatives: int, prefix: str = "") -> Explanation:
    """Translate a sentence and return which source words each word of the translation attends to.

    There are no words if the translation is empty or takes more tokens than the model has positions, or if the engine
    has no cross-attention.

    Args:
        translator: translator of any engine.
        sentence: text that is not longer than the model takes.
        alternatives: number of translations besides the best.
        prefix: text that the translations must begin with.

    Raises:
        InspectionError: if the sentence is empty or too long.
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
    if not _fits(translator, translation.text) or not _has_cross_attention(translator):
        return Explanation(source=source, source_words=[], target_words=[], attention=[], translations=translations)
    target_ids = translator.tokenizers.target.encode(translation.text)
    [attention] = translator.engine.cross_attention([(source_ids, target_ids)], translator.decoding.batch_tokens)
    words = AttentionMap(
        "cross",
        tuple(translator.tokenizers.target.pieces(target_ids)),
        tuple(translator.tokenizers.source.pieces(source_ids)),
        (attention[None].numpy(),),
    ).as_words()
    rows, source_words = _locate(words.keys, source)
    columns, target_words = _locate(words.queries, translation.text)
    weights = words.layers[0][0][columns][:, rows]
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
        InspectionError: as `explain`; or if `has_attention_maps` is False.
    """
    sentence, _ = read_sentence(translator, sentence)
    text = translator.translate(sentence).text
    maps = attention_maps(translator, sentence, text if _fits(translator, text) else None)
    return attention_page(maps, kind="cross", layer=len(maps.cross.layers), is_words=True)


def has_attention_maps(translator: Translator) -> bool:
    """Return True if the attention in all layers and heads of the model can be shown."""
    return isinstance(translator.engine, TorchEngine) and isinstance(translator.engine.model, EncoderDecoder)


def _has_cross_attention(translator: Translator) -> bool:
    return "alignment" not in translator.engine.unsupported(change_decoding(translator.decoding, {"alignment": True}))


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
