"""Subjects and noun phrases in both languages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from corpora.alignment import mark, new_mark, plain
from corpora.phrasebook import english, french
from corpora.phrasebook.lexicon import Adjective, Noun

POSSESSIVES = (
    ("mon", "ma", "mes", "my"),
    ("ton", "ta", "tes", "your"),
    ("son", "sa", "ses", "his"),
    ("notre", "notre", "nos", "our"),
    ("votre", "votre", "vos", "your"),
    ("leur", "leur", "leurs", "their"),
)
_REFLEXIVES = {
    "my": "myself",
    "your": "yourself",
    "his": "himself",
    "her": "herself",
    "our": "ourselves",
    "their": "themselves",
}


@dataclass(frozen=True)
class Subject:
    """The subject of a clause.

    Attributes:
        person: French conjugation, 0 (je) to 5 (ils).
        gender, is_plural: French agreement of participles and adjectives.
        agreement: English agreement: first, third or plural.
        possessive: index into POSSESSIVES, and `english_possessive` its English form.
        is_pronoun: pronouns invert in questions and contract in English.
        mark: mark of the pronoun, the name or the head noun; empty for the pronouns in `PRONOUNS`.
    """

    french: str
    english: str
    person: int
    gender: str
    is_plural: bool
    agreement: str
    possessive: int
    english_possessive: str
    is_pronoun: bool
    mark: str = ""

    def again(self) -> Subject:
        """Return the same pronoun or name as another constituent of a sentence."""
        new = new_mark()
        return replace(self, french=mark(plain(self.french), new), english=mark(plain(self.english), new), mark=new)

    def is_named(self, *french_forms: str) -> bool:
        """Return True if the subject in French is one of these."""
        return plain(self.french) in french_forms

    @property
    def inverted_pronoun(self) -> str:
        """The pronoun that follows the verb in an inverted question."""
        if self.is_pronoun:
            return self.french
        return mark(("elle" if self.gender == "f" else "il") + ("s" if self.is_plural else ""), self.mark)

    def fill(self, text: str) -> str:
        """Insert the subject's possessive and reflexive into an English verb: "do one's hair"."""
        own = self.english_possessive
        return text.replace("one's", own).replace("oneself", _REFLEXIVES[own])


def _pronoun(french_form: str, english_form: str, person: int, gender: str, is_plural: bool, own: str) -> Subject:
    agreement = {"I": "first", "he": "third", "she": "third"}.get(english_form, "plural")
    possessive = 3 if french_form == "on" else person
    return Subject(french_form, english_form, person, gender, is_plural, agreement, possessive, own, True)


PRONOUNS = (
    _pronoun("je", "I", 0, "m", False, "my"),
    _pronoun("je", "I", 0, "f", False, "my"),
    _pronoun("tu", "you", 1, "m", False, "your"),
    _pronoun("tu", "you", 1, "f", False, "your"),
    _pronoun("il", "he", 2, "m", False, "his"),
    _pronoun("elle", "she", 2, "f", False, "her"),
    _pronoun("on", "we", 2, "m", True, "our"),
    _pronoun("nous", "we", 3, "m", True, "our"),
    _pronoun("nous", "we", 3, "f", True, "our"),
    _pronoun("vous", "you", 4, "m", False, "your"),
    _pronoun("vous", "you", 4, "m", True, "your"),
    _pronoun("ils", "they", 5, "m", True, "their"),
    _pronoun("elles", "they", 5, "f", True, "their"),
)


def named(name: str, gender: str) -> Subject:
    """A person called by name."""
    return Subject(name, name, 2, gender, False, "third", 2, "his" if gender == "m" else "her", False).again()


@dataclass(frozen=True)
class NounPhrase:
    """A determiner, a noun and its adjectives.

    Attributes:
        determiner: French determiner; `body` is what follows it, not yet elided.
        english_body: English noun with its adjectives; `english_determiner` may be empty.
        kind: definite, indefinite, partitive, demonstrative, possessive, generic or number.
        is_plural, english_plural: number, which may differ between the languages (les devoirs, the homework).
        mark: mark of the noun; `determiner_mark` is that of the determiner.
    """

    noun: Noun
    determiner: str
    body: str
    english_determiner: str
    english_body: str
    kind: str
    is_plural: bool
    english_plural: bool
    mark: str
    determiner_mark: str

    @property
    def gender(self) -> str:
        """Gender of the noun."""
        return self.noun.gender

    @property
    def french(self) -> str:
        """The whole phrase in French, elided inside."""
        return french.spell(self.determiner, self.body)

    @property
    def raw(self) -> str:
        """The phrase before elision, so that à and de can still contract with its article."""
        return f"{self.determiner} {self.body}".strip()

    @property
    def is_indefinite(self) -> bool:
        """True if negation replaces the French determiner by "de"."""
        return self.kind in ("indefinite", "partitive")

    def english(self, mode: str = "some") -> str:
        """The phrase in English.

        Args:
            mode: what an indefinite plural or mass noun begins with: some, any, or bare for nothing.
        """
        if not self.is_indefinite:
            return english.join(self.english_determiner, self.english_body)
        if self.english_plural or self.noun.count in ("m", "x"):
            return english.join("" if mode == "bare" else mark(mode, self.determiner_mark), self.english_body)
        return f"{mark(english.article(self.english_body), self.determiner_mark)} {self.english_body}"

    def negated(self) -> str:
        """The French phrase as the object of a negated verb: de pain, but le pain."""
        return f"{mark('de', self.determiner_mark)} {self.body}" if self.is_indefinite else self.raw

    def as_subject(self) -> Subject:
        """The phrase as the subject of a clause."""
        agreement = "plural" if self.english_plural else "third"
        own = "their" if self.english_plural else "his" if self.gender == "m" else "her"
        person, possessive = (5, 5) if self.is_plural else (2, 2)
        english_form = self.english("some")
        return Subject(
            self.raw, english_form, person, self.gender, self.is_plural, agreement, possessive, own, False, self.mark
        )


def noun_phrase(
    noun: Noun,
    kind: str,
    is_plural: bool = False,
    adjectives: tuple[Adjective, ...] = (),
    owner: Subject | None = None,
    number: tuple[str, str] = ("", ""),
) -> NounPhrase:
    """Build a noun phrase with everything agreeing.

    Args:
        kind: see `NounPhrase`. Mass nouns become partitive where indefinite is asked for.
        owner: whose it is, for possessives.
        number: French and English numeral, for kind number.
    """
    if noun.is_always_plural:
        is_plural = True
    if noun.count in ("m", "d"):
        is_plural = False
    if kind == "indefinite" and noun.count in ("m", "d"):
        kind = "partitive"
    noun_mark, determiner_mark = new_mark(), new_mark()
    before = [(_before(one, noun, is_plural), one.english, new_mark()) for one in adjectives if one.position == "b"]
    after = [(one.agree(noun.gender, is_plural), one.english, new_mark()) for one in adjectives if one.position != "b"]
    french_noun = mark(noun.french_plural if is_plural and noun.count == "c" else noun.french, noun_mark)
    body = " ".join(
        [*(mark(form, own) for form, _, own in before), french_noun, *(mark(form, own) for form, _, own in after)]
    )
    english_plural = noun.count in ("p", "d") or (is_plural and noun.count == "c")
    english_noun = noun.english_plural if is_plural and noun.count == "c" else noun.english
    english_body = " ".join(
        [*(mark(meaning, own) for _, meaning, own in before + after), mark(english_noun, noun_mark)]
    )
    determiner, english_determiner = (
        mark(words, determiner_mark)
        for words in _determiners(kind, noun, plain(body), is_plural, english_plural, owner, number)
    )
    return NounPhrase(
        noun,
        determiner,
        body,
        english_determiner,
        english_body,
        kind,
        is_plural,
        english_plural,
        noun_mark,
        determiner_mark,
    )


_BEFORE_VOWEL = {"beau": "bel", "nouveau": "nouvel", "vieux": "vieil"}


def _before(adjective: Adjective, noun: Noun, is_plural: bool) -> str:
    form = adjective.agree(noun.gender, is_plural)
    if not is_plural and noun.gender == "m" and french.starts_with_vowel(noun.french):
        return _BEFORE_VOWEL.get(form, form)
    return form


def _determiners(
    kind: str,
    noun: Noun,
    body: str,
    is_plural: bool,
    english_plural: bool,
    owner: Subject | None,
    number: tuple[str, str],
) -> tuple[str, str]:
    is_feminine, has_vowel = noun.gender == "f", french.starts_with_vowel(body.split(" ")[0])
    if kind in ("definite", "generic"):
        article = "les" if is_plural else "la" if is_feminine else "le"
        return article, "the" if kind == "definite" else ""
    if kind == "indefinite":
        # "de beaux arbres": des becomes de before an adjective.
        starts_with_noun = body.split(" ")[0] == noun.french_plural.split(" ")[0]
        return ("des" if starts_with_noun else "de") if is_plural else "une" if is_feminine else "un", ""
    if kind == "partitive":
        return "de la" if is_feminine else "de le" if has_vowel else "du", ""
    if kind == "demonstrative":
        singular = "cette" if is_feminine else "cet" if has_vowel else "ce"
        return "ces" if is_plural else singular, "these" if english_plural else "this"
    if kind == "number":
        return number
    assert kind == "possessive" and owner is not None, kind
    masculine, feminine, plural, _ = POSSESSIVES[owner.possessive]
    singular = feminine if is_feminine and not has_vowel else masculine
    return plural if is_plural else singular, owner.english_possessive
