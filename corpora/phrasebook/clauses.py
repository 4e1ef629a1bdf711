"""A clause, and how each language says it: statement, question, negation, compound tenses, clitics."""

from __future__ import annotations

from dataclasses import dataclass, replace

from corpora.phrasebook import english, french
from corpora.phrasebook.lexicon import Governor, Verb
from corpora.phrasebook.phrases import NounPhrase, Subject

GOING_TO = Governor("aller", "", "be going to", False, "s")
_NEGATION_TAILS = {"plus": "anymore", "pas encore": "yet"}
_NEGATIVE = ("pas", "plus", "rien", "pas encore")  # jamais is "never", which leaves the English verb positive


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

    def french(self, is_inverted: bool = False) -> str:
        """The clause in French, without capital or final mark."""
        return french.spell(*french_words(self, is_inverted))

    def english(self) -> str:
        """The clause in English as a statement."""
        is_negative = self.negation in _NEGATIVE
        group = english_group(self, is_negative)
        head = self.subject.english
        if group.auxiliary:
            head = english.with_auxiliary(head, group.auxiliary, is_negative)
        return english.join(head, *english_predicate(self, group))

    def english_question(self, question_word: str = "") -> str:
        """The clause in English as a question: auxiliary, subject, rest."""
        group = english_group(self, True)
        start = english.join(question_word, group.auxiliary, self.subject.english)
        return english.join(start, *english_predicate(self, group))

    def with_tail(self, french_tail: str, english_tail: str) -> Clause:
        """The clause with a complement added at its end."""
        return replace(
            self,
            french_tail=f"{self.french_tail} {french_tail}".strip(),
            english_tail=f"{self.english_tail} {english_tail}".strip(),
        )


def french_words(clause: Clause, is_inverted: bool = False) -> list[str]:
    """The words of a French clause in order, not yet elided."""
    subject, person = clause.subject, clause.subject.person
    reflexive = french.REFLEXIVES[person] if clause.verb.is_reflexive else ""
    before_verb = [reflexive, clause.clitics]
    leading, finite, trailing = _verb_cluster(clause, person, before_verb)
    if is_inverted:
        finite = inverted(finite, subject)
    subject_words = "" if is_inverted and subject.is_pronoun else subject.french
    negated_object = clause.object and (
        clause.object.negated() if clause.negation not in ("", "rien") else clause.object.raw
    )
    particle = "ne" if clause.negation else ""
    words = [subject_words, particle, *leading, finite, clause.negation, clause.frequency[0], *trailing]
    return [*words, negated_object or "", clause.french_tail]


def _verb_cluster(clause: Clause, person: int, before_verb: list[str]) -> tuple[list[str], str, list[str]]:
    """What comes before the finite verb, the finite verb, and what follows it."""
    tense = {"background": "imparfait", "since": "present"}.get(clause.tense, clause.tense)
    verb, governor = clause.verb, clause.governor
    if governor:
        infinitive = [governor.tail, *before_verb, verb.french]
        if tense == "past":
            participle = french.past_participle(governor.french)
            return [], french.conjugate("avoir", "present", person), [participle, *infinitive]
        return [], french.conjugate(governor.french, tense, person), infinitive
    if tense == "past":
        auxiliary = french.conjugate("être" if verb.uses_etre else "avoir", "present", person)
        return before_verb, auxiliary, [agreeing_participle(clause)]
    return before_verb, french.conjugate(verb.french, tense, person), []


def agreeing_participle(clause: Clause) -> str:
    """The past participle, agreeing with the subject (être) or with a direct object before it (avoir)."""
    verb, subject = clause.verb, clause.subject
    gender, is_plural = (subject.gender, subject.is_plural) if verb.uses_etre else clause.agreement
    return french.agree(french.past_participle(verb.french), gender, is_plural)


def inverted(finite: str, subject: Subject) -> str:
    """Finite verb and pronoun of an inverted question, with the euphonic t: mange-t-il, finit-elle."""
    pronoun = subject.inverted_pronoun
    needs_t = pronoun[0] in "ieo" and finite[-1] in "aeco"
    return f"{finite}-t-{pronoun}" if needs_t else f"{finite}-{pronoun}"


def english_tense(clause: Clause) -> str:
    """Which English tense a clause takes: a function of the construction and the verb, never a choice."""
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
    verb = clause.subject.fill(clause.verb.english.replace("~", _separator(clause)))
    governor = clause.governor
    if governor:
        inner = english.gerund(verb) if governor.is_gerund else verb
        verb = f"{governor.english} {inner}"
    return english.verb_group(verb, english_tense(clause), clause.subject.agreement, needs_auxiliary)


def _separator(clause: Clause) -> str:
    """An object pronoun goes inside a separable verb (turn it off), an object noun after it (turn off the light)."""
    return f" {clause.english_object} " if clause.english_object else " "


def english_predicate(clause: Clause, group: english.VerbGroup) -> list[str]:
    """What follows subject and auxiliary in English."""
    adverb = "never" if clause.negation == "jamais" else clause.frequency[1]
    pronoun = "" if "~" in clause.verb.english else clause.english_object
    noun = clause.object.english(_indefinite_mode(clause)) if clause.object else ""
    nothing = "anything" if clause.negation == "rien" else ""
    tail = _NEGATION_TAILS.get(clause.negation, "")
    return [adverb, group.main, pronoun, nothing, noun, clause.english_tail, tail]


def _indefinite_mode(clause: Clause) -> str:
    """some bread, any bread or bread: bare where the sentence is about habits, any after another negation."""
    is_habitual = clause.is_habit or (clause.frequency[0] and clause.tense == "present") or clause.tense == "imparfait"
    if clause.negation == "jamais" or (is_habitual and not clause.negation):
        return "bare"
    if clause.negation:
        return "bare" if clause.tense in ("present", "imparfait") and clause.verb.french != "avoir" else "any"
    return "some"
