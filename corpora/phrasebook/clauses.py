"""Clauses in both languages: statements, questions, negation, compound tenses, clitics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from corpora.alignment import add_mark, linked, mark, new_mark, plain
from corpora.phrasebook import english, french
from corpora.phrasebook.lexicon import Governor, Verb
from corpora.phrasebook.phrases import NounPhrase, Subject

GOING_TO = Governor("aller", "", "be going to", False, "s")
_NEGATION_TAILS = {"plus": "anymore", "pas encore": "yet"}
_NEGATIVE = ("pas", "plus", "rien", "pas encore")  # jamais is "never", which leaves the English verb positive


class ClauseMarks(NamedTuple):
    """Marks of the constituents of a clause besides subject and object.

    Attributes:
        auxiliary, main: finite auxiliary and main verb; the verb of a simple tense has both marks.
        governor_auxiliary, governor_main: the same for the governor.
        not_: "ne … pas" and "not"; negation: a further negative word, such as rien, plus and encore.
        pronouns: French clitics and their English counterparts.
        frequency: adverb of frequency.
    """

    auxiliary: str
    main: str
    governor_auxiliary: str
    governor_main: str
    not_: str
    negation: str
    pronouns: str
    frequency: str

    @classmethod
    def new(cls) -> ClauseMarks:
        """Return the marks of another clause."""
        return cls(*(new_mark() for _ in cls._fields))


@dataclass(frozen=True)
class Clause:
    """One subject and one predicate.

    Attributes:
        tense: present, past (passé composé, simple past), imparfait (used to), background (imparfait, was …ing),
            future, conditional, since (present with depuis, has been …ing).
        object: direct object that follows the verb in French; None if there is none or a clitic stands for it.
        clitics: French object pronouns before the verb ("le", "lui", "me le").
        english_object: what stands for the clitics in English.
        french_tail, english_tail: adverbials and other complements.
        negation: pas, plus, jamais, rien, pas encore or empty.
        frequency: French and English adverb (souvent, often).
        governor: verb that takes this one as its infinitive: vouloir, aller, commencer à.
        agreement: gender and number of a direct object before the verb, with which an avoir participle agrees.
        is_habit: an action verb in the present that English puts into the simple present.
        marks: marks of the constituents, for the word alignment.
    """

    subject: Subject
    verb: Verb
    tense: str = "present"
    object: NounPhrase | None = None
    clitics: str = ""
    english_object: str = ""
    french_tail: str = ""
    english_tail: str = ""
    negation: str = ""
    frequency: tuple[str, str] = ("", "")
    governor: Governor | None = None
    agreement: tuple[str, bool] = ("m", False)
    is_habit: bool = False
    marks: ClauseMarks = field(default_factory=ClauseMarks.new)

    def french(self, is_inverted: bool = False) -> str:
        """The clause in French, without capital or final mark."""
        return french.spell(*french_words(self, is_inverted))

    def english(self) -> str:
        """The clause in English as a statement."""
        is_negative = self.negation in _NEGATIVE
        group = english_group(self, is_negative)
        head = self.subject.english
        if group.auxiliary:
            head = english.with_auxiliary(head, group.auxiliary, is_negative, self.marks.not_)
        return english.join(head, *english_predicate(self, group))

    def english_question(self, question_word: str = "") -> str:
        """The clause in English as a question: auxiliary, subject, rest."""
        group = english_group(self, True)
        start = english.join(question_word, group.auxiliary, self.subject.english)
        return english.join(start, *english_predicate(self, group))

    def with_tail(self, french_tail: str, english_tail: str) -> Clause:
        """Return the clause with a complement at its end, whose words are linked if they have no marks yet."""
        french_tail, english_tail = linked(french_tail, english_tail)
        return replace(
            self,
            french_tail=f"{self.french_tail} {french_tail}".strip(),
            english_tail=f"{self.english_tail} {english_tail}".strip(),
        )


def french_words(clause: Clause, is_inverted: bool = False) -> list[str]:
    """The words of a French clause in order, not yet elided."""
    subject, person = clause.subject, clause.subject.person
    marks = clause.marks
    reflexive = mark(french.REFLEXIVES[person] if clause.verb.is_reflexive else "", marks.main)
    before_verb = [reflexive, mark(clause.clitics, marks.pronouns)]
    leading, finite, trailing = _verb_cluster(clause, person, before_verb)
    if is_inverted:
        finite = inverted(finite, subject)
    subject_words = "" if is_inverted and subject.is_pronoun else subject.french
    negated_object = clause.object and (
        clause.object.negated() if clause.negation not in ("", "rien") else clause.object.raw
    )
    particle = mark("ne" if clause.negation else "", marks.not_)
    frequency = mark(clause.frequency[0], marks.frequency)
    words = [subject_words, particle, *leading, finite, _french_negation(clause), frequency, *trailing]
    return [*words, negated_object or "", clause.french_tail]


def _french_negation(clause: Clause) -> str:
    """Return the second part of a negation. Only pas and jamais have the same mark as "ne"."""
    if clause.negation in ("pas", "jamais"):
        return mark(clause.negation, clause.marks.not_)
    if clause.negation == "pas encore":
        return f"{mark('pas', clause.marks.not_)} {mark('encore', clause.marks.negation)}"
    return mark(clause.negation, clause.marks.negation)


def _verb_cluster(clause: Clause, person: int, before_verb: list[str]) -> tuple[list[str], str, list[str]]:
    """Return the words before the finite verb, the finite verb, and the words after it."""
    tense = {"background": "imparfait", "since": "present"}.get(clause.tense, clause.tense)
    verb, governor, marks = clause.verb, clause.governor, clause.marks
    simple = marks.auxiliary + marks.main
    if governor:
        tail = mark(governor.tail, marks.governor_main)
        infinitive = [tail, *before_verb, mark(verb.french, simple)]
        if tense == "past":
            participle = mark(french.past_participle(governor.french), marks.governor_main)
            auxiliary = mark(french.conjugate("avoir", "present", person), marks.governor_auxiliary)
            return [], auxiliary, [participle, *infinitive]
        finite = french.conjugate(governor.french, tense, person)
        return [], mark(finite, marks.governor_auxiliary + marks.governor_main), infinitive
    if tense == "past":
        auxiliary = french.conjugate("être" if verb.uses_etre else "avoir", "present", person)
        return before_verb, mark(auxiliary, marks.auxiliary), [mark(agreeing_participle(clause), marks.main)]
    return before_verb, mark(french.conjugate(verb.french, tense, person), simple), []


def agreeing_participle(clause: Clause) -> str:
    """The past participle, agreeing with the subject (être) or with a direct object before it (avoir)."""
    verb, subject = clause.verb, clause.subject
    gender, is_plural = (subject.gender, subject.is_plural) if verb.uses_etre else clause.agreement
    return french.agree(french.past_participle(verb.french), gender, is_plural)


def inverted(finite: str, subject: Subject) -> str:
    """Finite verb and pronoun of an inverted question, with the euphonic t: mange-t-il, finit-elle."""
    pronoun = subject.inverted_pronoun
    needs_t = pronoun[0] in "ieo" and plain(finite)[-1] in "aeco"
    return f"{finite}-t-{pronoun}" if needs_t else f"{finite}-{pronoun}"


def english_tense(clause: Clause) -> str:
    """Return the English tense of a clause: a function of the construction and the verb, never a choice."""
    flags = clause.governor.flags if clause.governor else clause.verb.flags
    if clause.tense == "present":
        bare_negative = clause.negation and clause.object is not None and clause.object.is_indefinite
        is_simple = clause.is_habit or bare_negative or clause.negation in ("jamais", "plus") or clause.frequency[0]
        return "simple" if is_simple or "s" in flags or "k" in flags else "progressive"
    by_aspect = {
        "imparfait": ("past", "used"),
        "background": ("past", "past_progressive"),
        "since": ("perfect", "perfect_progressive"),
    }
    if clause.tense in by_aspect:
        stative, active = by_aspect[clause.tense]
        return stative if "s" in flags else active
    has_perfect = clause.negation in ("jamais", "pas encore") or clause.frequency[0] == "déjà"
    return "perfect" if clause.tense == "past" and has_perfect else clause.tense


def english_group(clause: Clause, needs_auxiliary: bool) -> english.VerbGroup:
    """Conjugate the verb of a clause, with its governor if it has one."""
    marks = clause.marks
    verb = mark(clause.subject.fill(clause.verb.english.replace("~", _separator(clause))), marks.main)
    governor, auxiliary = clause.governor, marks.auxiliary
    if governor:
        inner = add_mark(english.gerund(verb) if governor.is_gerund else verb, marks.auxiliary)
        verb = f"{mark(governor.english, marks.governor_main)} {inner}"
        auxiliary = marks.governor_auxiliary
    group = english.verb_group(verb, english_tense(clause), clause.subject.agreement, needs_auxiliary)
    if group.auxiliary:
        return english.VerbGroup(mark(group.auxiliary, auxiliary), mark(group.main, auxiliary))
    return english.VerbGroup("", mark(add_mark(group.main, auxiliary), auxiliary))


def _separator(clause: Clause) -> str:
    """An object pronoun goes inside a separable verb (turn it off), an object noun after it (turn off the light)."""
    return f" {mark(clause.english_object, clause.marks.pronouns)} " if clause.english_object else " "


def english_predicate(clause: Clause, group: english.VerbGroup) -> list[str]:
    """Return the words after subject and auxiliary in English."""
    marks = clause.marks
    adverb = mark("never", marks.not_) if clause.negation == "jamais" else mark(clause.frequency[1], marks.frequency)
    pronoun = "" if "~" in clause.verb.english else mark(clause.english_object, marks.pronouns)
    noun = clause.object.english(_indefinite_mode(clause)) if clause.object else ""
    nothing = mark("anything", marks.negation) if clause.negation == "rien" else ""
    tail = mark(_NEGATION_TAILS.get(clause.negation, ""), marks.negation)
    return [adverb, group.main, pronoun, nothing, noun, clause.english_tail, tail]


def _indefinite_mode(clause: Clause) -> str:
    """some bread, any bread or bread: bare where the sentence is about habits, any after another negation."""
    is_habitual = clause.is_habit or (clause.frequency[0] and clause.tense == "present") or clause.tense == "imparfait"
    if clause.negation == "jamais" or (is_habitual and not clause.negation):
        return "bare"
    if clause.negation:
        return "bare" if clause.tense in ("present", "imparfait") and clause.verb.french != "avoir" else "any"
    return "some"
