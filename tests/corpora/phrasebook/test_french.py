"""French morphology, checked against the grammar books."""

from __future__ import annotations

import pytest

from corpora.alignment import plain
from corpora.phrasebook import french
from corpora.phrasebook.clauses import Clause
from corpora.phrasebook.lexicon import Noun, Verb, load_lexicon
from corpora.phrasebook.phrases import PRONOUNS, noun_phrase

LEXICON = load_lexicon()
JE, TU, IL, ELLE, ON, VOUS, ILS = (PRONOUNS[index] for index in (0, 2, 4, 5, 6, 9, 11))


def noun(name: str) -> Noun:
    return next(entry for entry in LEXICON.nouns if entry.french == name)


def verb(infinitive: str, frame: str) -> Verb:
    return next(entry for entry in LEXICON.verbs if entry.french == infinitive and entry.frame == frame)


@pytest.mark.parametrize(
    ("parts", "spelled"),
    [
        (("je", "ai"), "j'ai"),
        (("je", "ne", "ai", "pas"), "je n'ai pas"),
        (("il", "le", "aime"), "il l'aime"),
        (("la", "école"), "l'école"),
        (("le", "homme"), "l'homme"),
        (("le", "haricot"), "le haricot"),
        (("le", "hibou"), "le hibou"),
        (("le", "yaourt"), "le yaourt"),
        (("je", "y", "vais"), "j'y vais"),
        (("il", "se", "habille"), "il s'habille"),
        (("je", "te", "aide"), "je t'aide"),
        (("tu", "me", "aides"), "tu m'aides"),
        (("parce", "que", "elle", "dort"), "parce qu'elle dort"),
        (("si", "il", "pleut"), "s'il pleut"),
        (("si", "elle", "dort"), "si elle dort"),
        (("ce", "est"), "c'est"),
        (("le", "onze", "mai"), "le onze mai"),
        (("la", "orange", "de", "Emma"), "l'orange d'Emma"),
    ],
)
def test_elision_follows_the_sound_of_the_next_word(parts: tuple[str, ...], spelled: str) -> None:
    assert french.spell(*parts) == spelled


def test_prepositions_contract_with_the_masculine_and_plural_article_only() -> None:
    assert french.with_de("le parc") == "du parc"
    assert french.with_de("les enfants") == "des enfants"
    assert french.with_a("le marché") == "au marché"
    assert french.with_a("les enfants") == "aux enfants"
    assert french.spell(*french.with_a("la gare").split()) == "à la gare"
    assert french.spell(*french.with_de("le hôtel").split()) == "de l'hôtel"
    assert french.spell(*french.with_a("le hôpital").split()) == "à l'hôpital"


@pytest.mark.parametrize(
    ("infinitive", "tense", "forms"),
    [
        ("manger", "present", "mange manges mange mangeons mangez mangent"),
        ("manger", "imparfait", "mangeais mangeais mangeait mangions mangiez mangeaient"),
        ("commencer", "present", "commence commences commence commençons commencez commencent"),
        ("commencer", "imparfait", "commençais commençais commençait commencions commenciez commençaient"),
        ("acheter", "present", "achète achètes achète achetons achetez achètent"),
        ("acheter", "future", "achèterai achèteras achètera achèterons achèterez achèteront"),
        ("appeler", "present", "appelle appelles appelle appelons appelez appellent"),
        ("jeter", "future", "jetterai jetteras jettera jetterons jetterez jetteront"),
        ("préférer", "present", "préfère préfères préfère préférons préférez préfèrent"),
        ("préférer", "future", "préférerai préféreras préférera préférerons préférerez préféreront"),
        ("nettoyer", "present", "nettoie nettoies nettoie nettoyons nettoyez nettoient"),
        ("nettoyer", "future", "nettoierai nettoieras nettoiera nettoierons nettoierez nettoieront"),
        ("envoyer", "future", "enverrai enverras enverra enverrons enverrez enverront"),
        ("peser", "present", "pèse pèses pèse pesons pesez pèsent"),
        ("lever", "present", "lève lèves lève levons levez lèvent"),
        ("montrer", "present", "montre montres montre montrons montrez montrent"),
        ("chercher", "present", "cherche cherches cherche cherchons cherchez cherchent"),
        ("étudier", "imparfait", "étudiais étudiais étudiait étudiions étudiiez étudiaient"),
        ("finir", "present", "finis finis finit finissons finissez finissent"),
        ("finir", "imparfait", "finissais finissais finissait finissions finissiez finissaient"),
        ("vendre", "present", "vends vends vend vendons vendez vendent"),
        ("vendre", "future", "vendrai vendras vendra vendrons vendrez vendront"),
        ("être", "imparfait", "étais étais était étions étiez étaient"),
        ("avoir", "future", "aurai auras aura aurons aurez auront"),
        ("aller", "present", "vais vas va allons allez vont"),
        ("faire", "present", "fais fais fait faisons faites font"),
        ("faire", "imparfait", "faisais faisais faisait faisions faisiez faisaient"),
        ("prendre", "present", "prends prends prend prenons prenez prennent"),
        ("comprendre", "present", "comprends comprends comprend comprenons comprenez comprennent"),
        ("sortir", "present", "sors sors sort sortons sortez sortent"),
        ("mentir", "present", "mens mens ment mentons mentez mentent"),
        ("venir", "future", "viendrai viendras viendra viendrons viendrez viendront"),
        ("devoir", "present", "dois dois doit devons devez doivent"),
        ("pouvoir", "conditional", "pourrais pourrais pourrait pourrions pourriez pourraient"),
        ("boire", "imparfait", "buvais buvais buvait buvions buviez buvaient"),
        ("cueillir", "future", "cueillerai cueilleras cueillera cueillerons cueillerez cueilleront"),
        ("voir", "future", "verrai verras verra verrons verrez verront"),
    ],
)
def test_verbs_conjugate_as_in_the_tables(infinitive: str, tense: str, forms: str) -> None:
    assert [french.conjugate(infinitive, tense, person) for person in range(6)] == forms.split()


@pytest.mark.parametrize(
    ("infinitive", "participle"),
    [
        ("manger", "mangé"),
        ("finir", "fini"),
        ("vendre", "vendu"),
        ("ouvrir", "ouvert"),
        ("sortir", "sorti"),
        ("découvrir", "découvert"),
        ("apprendre", "appris"),
        ("lire", "lu"),
        ("écrire", "écrit"),
        ("courir", "couru"),
    ],
)
def test_past_participles(infinitive: str, participle: str) -> None:
    assert french.past_participle(infinitive) == participle


def test_the_imperative_of_er_verbs_drops_its_s() -> None:
    assert french.imperative("manger", 1) == "mange"
    assert french.imperative("finir", 1) == "finis"
    assert french.imperative("ouvrir", 1) == "ouvre"
    assert french.imperative("être", 4) == "soyez"


def test_participles_agree_with_the_subject_after_etre_and_with_an_object_before_avoir() -> None:
    leave, buy, wash = verb("partir", "i"), verb("acheter", "t"), verb("laver", "r")
    assert plain(Clause(ELLE, leave, "past").french()) == "elle est partie"
    assert plain(Clause(ILS, leave, "past").french()) == "ils sont partis"
    assert plain(Clause(ELLE, wash, "past").french()) == "elle s'est lavée"
    assert plain(Clause(ELLE, buy, "past", clitics="les", agreement=("f", True)).french()) == "elle les a achetées"
    assert plain(Clause(ELLE, buy, "past", noun_phrase(noun("pomme"), "definite")).french()) == "elle a acheté la pomme"


def test_negation_surrounds_the_finite_verb_and_turns_indefinite_articles_into_de() -> None:
    eat = verb("manger", "t")
    bread, apple = noun_phrase(noun("pain"), "indefinite"), noun_phrase(noun("orange"), "indefinite", True)
    assert plain(Clause(JE, eat, "present", bread, negation="pas").french()) == "je ne mange pas de pain"
    assert plain(Clause(ON, eat, "past", apple, negation="pas").french()) == "on n'a pas mangé d'oranges"
    assert plain(Clause(JE, eat, "past", negation="rien").french()) == "je n'ai rien mangé"
    assert plain(Clause(JE, eat, "past", negation="rien").english()) == "I didn't eat anything"
    assert plain(Clause(TU, eat, "past", bread, negation="jamais").english()) == "you've never eaten bread"


def test_inverted_questions_take_a_euphonic_t_between_vowels() -> None:
    eat = verb("manger", "t")
    assert plain(Clause(IL, eat).french(is_inverted=True)) == "mange-t-il"
    assert plain(Clause(ELLE, eat, "past").french(is_inverted=True)) == "a-t-elle mangé"
    assert plain(Clause(ILS, eat).french(is_inverted=True)) == "mangent-ils"
    assert plain(Clause(VOUS, verb("lever", "r"), "past").french(is_inverted=True)) == "vous êtes-vous levé"


def test_adjectives_agree_and_take_their_place() -> None:
    adjectives = {entry.forms[0]: entry for entry in LEXICON.adjectives}
    tree, dress = noun("arbre"), noun("robe")
    assert plain(noun_phrase(tree, "indefinite", adjectives=(adjectives["beau"],)).french) == "un bel arbre"
    assert plain(noun_phrase(tree, "indefinite", True, (adjectives["beau"],)).french) == "de beaux arbres"
    assert plain(noun_phrase(dress, "demonstrative", adjectives=(adjectives["blanc"],)).french) == "cette robe blanche"
    assert plain(noun_phrase(dress, "definite", True, (adjectives["marron"],)).french) == "les robes marron"
    assert plain(noun_phrase(tree, "demonstrative").french) == "cet arbre"
    assert plain(noun_phrase(noun("amie"), "possessive", owner=JE).french) == "mon amie"
    assert plain(noun_phrase(noun("eau"), "partitive").french) == "de l'eau"
    assert [adjectives["gros"].agree("f", True), adjectives["ancien"].agree("f", False)] == ["grosses", "ancienne"]


def test_plurals_of_nouns() -> None:
    plurals = {"cheval": "chevaux", "gâteau": "gâteaux", "bras": "bras", "genou": "genoux", "journal": "journaux"}
    for singular, expected in plurals.items():
        assert noun(singular).french_plural == expected


def test_punctuation_is_spaced_as_french_typography_has_it() -> None:
    assert french.sentence("tu dors", "?") == "Tu dors\u202f?"
    assert french.sentence("tu dors", ".") == "Tu dors."
    assert french.sentence("voici", ":") == "Voici\u00a0:"
    assert french.quoted("Oui") == "«\u00a0Oui\u00a0»"
