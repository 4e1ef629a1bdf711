"""Word alignments by construction."""

from __future__ import annotations

import random

import pytest

from corpora.alignment import (
    Alignment,
    align,
    closed,
    english_tokens,
    french_tokens,
    linked,
    mark,
    new_mark,
    opened,
    parallel,
    plain,
)
from corpora.phrasebook import AUTHORED, CONSTRUCTIONS, english, french
from corpora.phrasebook.clauses import GOING_TO, Clause
from corpora.phrasebook.constructions.base import named_verb, statement
from corpora.phrasebook.lexicon import load_lexicon
from corpora.phrasebook.phrases import PRONOUNS, noun_phrase
from corpora.phrasebook.splits import Draft, draw


def links(sentences: tuple[str, str]) -> set[str]:
    """Sure links as `french~english`, possible ones as `french≈english`; punctuation left out."""
    ours, theirs = (
        tokens(plain(text)) for tokens, text in zip((french_tokens, english_tokens), sentences, strict=True)
    )
    found = align(*sentences)
    return {
        f"{ours[int(i)]}{sign}{theirs[int(j)]}"
        for sign, part in (("~", found.sure), ("≈", found.possible))
        for i, j in (link.split("-") for link in part.split())
        if ours[int(i)].strip(".?,!")
    }


def noun(name: str) -> object:
    return next(one for one in load_lexicon().nouns if one.french == name)


def test_tokens_split_elisions_and_contractions_and_keep_hyphens() -> None:
    assert french_tokens("L'homme dit qu'aujourd'hui, j'ai vingt-deux ans.") == [
        "L'", "homme", "dit", "qu'", "aujourd'hui", ",", "j'", "ai", "vingt-deux", "ans", ".",
    ]  # fmt: skip
    assert english_tokens("I don't think Paul's coming at two o'clock, won't he?") == [
        "I", "do", "n't", "think", "Paul", "'s", "coming", "at", "two", "o'clock", ",", "wo", "n't", "he", "?",
    ]  # fmt: skip
    assert french_tokens("3,50 euros") == ["3,50", "euros"] and english_tokens("$1,200.50") == ["$", "1,200.50"]


def test_marks_belong_to_parts_of_words() -> None:
    one, two = new_mark(), new_mark()
    assert links((f"J'{one}ai{two}", f"I{one}'ve{two}")) == {"J'~I", "ai~'ve"}
    assert links((f"l'{one}ami{two}", f"the{one} friend{two}")) == {"l'~the", "ami~friend"}


def test_linked_marks_only_what_has_no_marks() -> None:
    name = new_mark()
    pair = linked(f"à Marie{name}", f"to Marie{name}")
    assert links(pair) == {"à~to", "Marie~Marie"}
    assert tuple(map(plain, pair)) == ("à Marie", "to Marie")


def test_links_between_several_tokens_on_both_sides_are_possible_ones() -> None:
    assert links(linked("hier soir", "last night")) == {"hier≈last", "hier≈night", "soir≈last", "soir≈night"}
    assert links(linked("pomme de terre", "potato")) == {"pomme~potato", "de~potato", "terre~potato"}


def test_parallel_links_part_by_part() -> None:
    pair = parallel("j'|ai compté|des|étoiles", "I|counted|some|stars")
    assert plain(pair[0]) == "j'ai compté des étoiles"
    assert links(pair) == {"j'~I", "ai~counted", "compté~counted", "des~some", "étoiles~stars"}
    assert plain(parallel("c'|est", "it|'s")[1]) == "it's"


def test_a_contracted_article_keeps_its_link_and_takes_that_of_the_preposition() -> None:
    phrase = noun_phrase(noun("parc"), "definite")  # type: ignore[arg-type]
    assert links(linked(french.with_a(phrase.raw), f"to {phrase.english()}")) == {"au~to", "au~the", "parc~park"}
    assert opened("le") != plain(opened("le")) == "le" == plain(closed("le"))


def test_elision_keeps_both_words_apart() -> None:
    verb = new_mark()
    spelled = french.spell("que", mark("il", verb))
    assert plain(spelled) == "qu'il"
    assert links(linked(spelled, f"that he{verb}")) == {"qu'~that", "il~he"}


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ({"tense": "past"}, {"Nous~We", "avons~watched", "regardé~watched"}),
        (
            {"tense": "past", "negation": "pas"},
            {"Nous~We", "n'~n't", "avons~did", "pas~n't", "regardé~watch"},
        ),
        ({"tense": "future"}, {"Nous~We", "regarderons~'ll", "regarderons~watch"}),
        (
            {"governor": GOING_TO},
            {"Nous~We", "allons~'re", "allons~going", "allons~to", "regarder~watch"},
        ),
        (
            {"tense": "past", "negation": "rien"},
            {"Nous~We", "n'~n't", "avons~did", "rien~anything", "regardé~watch"},
        ),
        (
            {"tense": "past", "negation": "pas encore"},
            {"Nous~We", "n'~n't", "avons~have", "pas~n't", "encore~yet", "regardé~watched"},
        ),
        ({"tense": "past", "clitics": "les", "english_object": "them"}, {"Nous~We", "les~them", "avons~watched",
                                                                         "regardé~watched"}),
    ],
)  # fmt: skip
def test_links_of_a_clause(clause: dict[str, object], expected: set[str]) -> None:
    nous = next(one for one in PRONOUNS if one.french == "nous").again()
    made = Clause(nous, named_verb("regarder", "t"), **clause)  # type: ignore[arg-type]
    assert links(statement(made)) == expected


def test_two_mentions_of_one_pronoun_are_two_constituents() -> None:
    je = PRONOUNS[0].again()
    again = je.again()
    pair = linked(f"{je.french} et {again.french}", f"{je.english} and {again.english}")
    found = align(*pair)
    assert found == Alignment("0-0 1-1 2-2", "")


def test_punctuation_is_linked_in_order_where_both_sides_have_equally_many() -> None:
    assert align(*linked("oui , non .", "yes, no.")).sure == "1-1 3-3"
    assert "1-1" not in align(*linked("oui , non , .", "yes, no.")).sure.split()


@pytest.fixture(scope="module")
def drafts() -> list[Draft]:
    return list(draw(random.Random(5), 25))


def test_sentences_hold_no_marks_and_only_authored_ones_have_no_alignment(drafts: list[Draft]) -> None:
    for pair in (draft.pair for draft in drafts):
        assert plain(pair.french + pair.english) == pair.french + pair.english
        assert (pair.alignment is None) == (pair.construction == AUTHORED)


def test_alignments_do_not_depend_on_which_marks_are_given(drafts: list[Draft]) -> None:
    new_mark()
    again = list(draw(random.Random(5), 25))
    assert [draft.pair.alignment for draft in again] == [draft.pair.alignment for draft in drafts]


def test_nearly_every_word_is_linked_in_every_construction(drafts: list[Draft]) -> None:
    for construction in CONSTRUCTIONS:
        pairs = [draft.pair for draft in drafts if draft.pair.construction == construction.name]
        linked_words, all_words = 0, 0
        for pair in pairs:
            found = pair.alignment
            assert found is not None
            numbers = {int(link.split("-")[1]) for link in (found.sure + " " + found.possible).split()}
            tokens = english_tokens(pair.english)
            assert max(numbers) < len(tokens)
            linked_words, all_words = linked_words + len(numbers), all_words + len(tokens)
        assert linked_words >= 0.85 * all_words, construction.name


def test_names_are_linked_with_themselves(drafts: list[Draft]) -> None:
    names = {name for name, _ in load_lexicon().names}
    checked = 0
    for pair in (draft.pair for draft in drafts if draft.pair.alignment):
        ours, theirs = french_tokens(pair.french), english_tokens(pair.english)
        assert pair.alignment
        found = {tuple(map(int, link.split("-"))) for link in pair.alignment.sure.split()}
        for i, word in enumerate(ours):
            if word in names and ours.count(word) == theirs.count(word) == 1 and pair.construction != "date":
                assert (i, theirs.index(word)) in found, pair
                checked += 1
    assert checked > 100


def test_english_morphology_keeps_marks() -> None:
    look, it = new_mark(), new_mark()
    verb = f"{mark('look', look)} {mark('for', it)}"
    for form in (english.past, english.gerund, english.third_person, english.participle):
        assert form(verb) == f"{plain(form('look'))}{look} for{it}"
