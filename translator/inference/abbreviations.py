"""French abbreviations and sentence starters, for sentence splitting and for folding of capitals.

English forms that French text uses are included. Words of the closed classes are in lowercase.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Before a name: no sentence ends here, except before a pronoun ("J'ai vu Mme. Il faudra …"). Case matters: "col." is
# a noun, "Col." a title. First names that are shortened to two letters ("Ch. Dickens") count as titles.
TITLES = _words("""
    M MM Mme Mmes Mlle Mlles Mgr Me Dr Drs Dre Pr Prs Pre St Ste Sts Stes Mr Mrs Ms Prof Gal Gén Col Lcl Cdt Cne Capt
    Lt Sgt Adj Adjt Cpl Brig Amb Pdt Prés Préf Sén Exc Rév Hon Sr Sra Vve Cte Ctesse Vte Insp Ing Ph.D Ch Th Ph Chr Cl
    """)

# Before a number: "no. 12", "chap. II", "janv. 1999". Some are words as well, and end sentences before anything else.
BEFORE_NUMBERS = _words("""
    no nos n° nº n num tél tel fax p pp pg pag par parag art arts al alin chap ch sect § vol vols t tom l liv fasc
    fig figs tab tabl pl ann ill illus éd ed réf ref n v vv ss sq sqq s r f fol col av bd boul apt appt app bât bat
    esc ét env approx min max moy ca circ dép arr cat cf ex op obs rubr ver th sc séq h
    janv jan févr fév fevr fev avr juil juill sept oct nov déc dec lun mer ven sam dim
    """)

# Never the end of a sentence, whatever follows.
NEVER_LAST = frozenset(
    ["cf", "c.-à-d", "c-à-d", "càd", "i.e", "e.g", "n.b", "p.-s", "p.s", "p. ex", "par ex", "vs", "ndlr"]
)

# Inside a sentence before a name; the end of one before a starter.
SELDOM_LAST = _words("""
    ex inc ltd ltée corp cie co bros al av bd boul éd éds coll env apr lat gr angl ital esp fr hist imp rte fg fbg ibid
    id univ dir trad préf dép div dépt v hon
    """)

# Words that begin sentences and are not names: pronouns, determiners and others.
PRONOUNS = _words("je j tu il elle on nous vous ils elles ce c cela ça he she it they we you")
DETERMINERS = _words("""
    le la les l un une des cet cette ces mon ton son ma ta sa mes tes ses notre votre leur nos vos leurs the this that
    these those his her its their our my your
    """)
STARTERS = (
    PRONOUNS
    | DETERMINERS
    | _words("""
        au aux ceci celui celle ceux celles lui moi toi eux qui que qu quoi quand où comment pourquoi combien quel
        quelle quels quelles lequel laquelle et ou mais donc or ni car ne n pas si s me m te t se y en à dans sur sous
        avec sans pour par chez vers entre depuis pendant avant après dès lorsque lorsqu puis puisque puisqu alors ainsi
        aussi enfin ensuite cependant pourtant toutefois néanmoins tout toute tous toutes chaque plusieurs certains
        certaines aucun aucune personne rien quelqu quelques beaucoup ici là voici voilà oui non selon malgré même comme
        jusqu hier demain aujourd maintenant bien merci tant trop plus moins très encore déjà jamais toujours est es
        and but in at for from when if there not no an as with after before
        """)
)

# Nouns that a letter or a number names: "le plan B", "la vitamine C".
LETTERED = _words("""
    plan vitamine vitamines groupe groupes hépatite classe point lettre note option annexe section catégorie type
    bâtiment bloc série ligne zone porte salle quai question réponse article étape version équipe escalier hall niveau
    tableau figure colonne case page chapitre partie terminal train bus route rue sortie allée cas exemple côté face
    jour heure monsieur madame monde clé clef bouton touche modèle lot permis format bac
    """)

# Units and ordinal suffixes that stay in lowercase beside words in capitals.
UNITS = _words("n nº no nos kg g mg t km m cm mm l cl ml dl h min s ha kw kwh mo go ko er e ère ème")

# Acronyms that a subword vocabulary spells like words.
ACRONYMS = _words("""
    NASA UNESCO UNICEF OTAN ONU URSS USA BCE CIA FIFA UEFA OPEP OMC OMS OIT PIB PME ONG IRM INSEE ENA RATP UMP AFP ADN
    ARN OVNI CEE UE UK FMI IVG SMIC URSSAF CAF CHU EDF IUT ISO RSA RTT SAMU SARL TVA SUV UHT USB VIP BEP BTS AOC
    """)
