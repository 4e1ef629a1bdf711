"""Each kind of failure is found, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from translator.inference.failures import KINDS, find_failures, lost_spans, merged, without_literals


def is_rare(word: str) -> bool:
    return word in ("Kowalczyk", "Przemysl", "Mésopotamie", "Dupont", "Zoie")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("Le chat dort.", " ", "empty"),
        ("Le chat dort.", " . ", "empty"),
        ("Le chat dort.", "The cat the cat the cat sleeps.", "looping"),
        ("Le chat dort.", "no no no no sleep", "looping"),
        ("Le petit chat dort.", "The little little little cat sleeps.", "looping"),
        ("Le chat dort.", "hahahahahahaha", "looping"),
        ("Le chat dort sur le lit.", "The group of a group and a group in the group, a group.", "looping"),
        ("Le chat dort sur le lit.", "le chat dort sur le lit.", "copied"),
        ("Le chat noir dort sur le lit.", "Le chat noir dort sur the bed.", "copied"),
        ("LE CHAT DORT SUR LE LIT.", "LE CHAT DORT SUR LE LIT.", "copied"),
        ("Le chat dort.", "It is not that I would ever have said so, but it seems to me he may be tired.", "length"),
        ("Le chat qui est arrivé ce matin dort sur le grand lit de la chambre.", "Cat.", "length"),
        ("Il a 85 ans.", "He is 58 years old.", "numbers"),
        ("Voir https://exemple.fr/a?b=1.", "See.", "urls"),
        ("Voir www.exemple.fr.", "See www.example.fr.", "urls"),
        ("Voir exemple.com", "See example.com", "urls"),
        ("Écrire à jean@exemple.fr.", "Write to Jean.", "emails"),
        ("Bonjour {name}.", "Hello name.", "placeholders"),
        ("Il reste %d messages.", "There are messages left.", "placeholders"),
        ("Un <b>grand</b> chat", "A <b>big cat", "placeholders"),
        ("J'ai vu Kowalczyk.", "I saw Kowalski.", "names"),
        ("J'ai vu Zoie.", "I saw a zoo.", "names"),  # two letters are no stem
        ("Bonjour {name}, salut {name}.", "Hello and hi {name}.", "placeholders"),
        ("Voir https://exemple.fr/17.", "See.", "urls"),  # and not its number
        ("图书馆在哪里？我们今天要去那里学习法语。", "Library.", "length"),
    ],
)
def test_each_kind_of_failure_is_found(source: str, target: str, expected: str) -> None:
    assert find_failures(source, target, is_rare) == (expected,)
    assert expected in KINDS


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("", ""),
        ("...", ""),
        ("Le chat dort.", "The cat sleeps."),
        ("Jean-Paul Sartre", "Jean-Paul Sartre"),
        ("Loi sur la Banque du Canada", "Bank of Canada Act"),
        ("New York Times, Washington Post", "New York Times, Washington Post"),
        ("Non non non non, dit-il.", "No no no no, he said."),
        ("Ha ha hahahahahaha", "Hahahahahahaha"),
        ("Non non non.", "No no no."),
        ("C'est vraiment grand.", "It is very, very, very big."),
        ("Je crois que ce que tu as eu est là.", "I think that that is what you had had."),
        ("C'est très, très, très grand.", "It is very, very, very big."),
        ("Oui.", "Of course he does."),
        ("Bien entendu, monsieur.", "Yes."),
        ("Un petit, petit, petit, petit, petit chat", "A small, small, small, small, small cat"),
        (
            "Il dit que oui, il dit que non, il dit que si, il dit que jamais.",
            "He says that yes, he says that no, he says that so, he says that never.",
        ),
        (
            "Petit chat, petit chien, petit lit, petit pain et petit jardin.",
            "Small cat, small dog, small bed, small loaf and small garden.",
        ),
        ("Le %d'eau est faible.", "The percentage of water is low."),
        ("Le 14 juillet, voir https://exemple.fr/12.", "On July 14, see https://exemple.fr/12."),
        ("Écrire à jean@exemple.fr.", "Write to JEAN@exemple.fr."),
        ("Bonjour {name}, il reste 20 % d'eau.", "Hello {name}, 20% of the water is left."),
        ("En Mésopotamie et chez M. Dupont", "In Mesopotamia and at Mr. Dupont's"),
        ("Kowalczyk dort.", "He sleeps."),  # the first word has a capital in any case
        ("J'habite en Allemagne.", "I live in Germany."),  # not rare
        ("L'apparition de la biblioth&#232;que", "The library"),
        ("图书馆在哪里？我们今天要去那里学习法语。", "Where is the library? We are going there today to learn French."),
    ],
)
def test_good_translations_have_no_failure(source: str, target: str) -> None:
    assert find_failures(source, target, is_rare) == ()


def test_all_failures_of_a_translation_are_found_in_the_order_of_the_kinds() -> None:
    source = "J'ai vu Kowalczyk le 14 à www.exemple.fr."
    assert find_failures(source, "seen seen seen seen", is_rare) == ("looping", "numbers", "urls", "names")


def test_what_is_lost_is_found_in_its_place() -> None:
    source = "J'ai vu Kowalczyk à 15h45 (voir https://exemple.fr/a), {name} : 20 chats."
    spans = lost_spans(source, "I saw him, twenty cats.", is_rare)
    assert [source[start:end] for start, end in spans] == ["Kowalczyk", "15h45", "https://exemple.fr/a", "{name}"]
    assert lost_spans(source, f"{source} 3:45", is_rare) == []


def test_a_lost_span_is_as_wide_as_what_is_written_without_space(  # the numbers of a lost literal are part of it
) -> None:
    source = "Le vol AF447, le (no12) et https://exemple.fr/85."
    spans = lost_spans(source, "The flight.", is_rare)
    assert [source[start:end] for start, end in spans] == ["AF447", "no12", "https://exemple.fr/85"]


def test_words_that_begin_sentences_are_not_names() -> None:
    source = "Il dit Pourtant que Kowalczyk dort."
    spans = lost_spans(source, "He says so.", lambda word: True)
    assert [source[start:end] for start, end in spans] == ["Kowalczyk"]


def test_spans_that_overlap_are_merged_into_one_that_covers_both() -> None:
    assert merged([(5, 6), (0, 9), (2, 4), (9, 12)]) == [(0, 9), (9, 12)]


def test_literals_are_blanked_in_place() -> None:
    source = "Voir https://exemple.fr/12 et {a}"
    assert without_literals(source) == f"Voir {' ' * 21} et {' ' * 3}"
    assert without_literals("Le chat") == "Le chat"
