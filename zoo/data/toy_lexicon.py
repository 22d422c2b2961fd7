"""Words and endings of the generated language, as tables. Within a table "_" is a blank and "-" is nothing."""

from collections.abc import Mapping
from typing import NamedTuple

CASES = ("nom", "acc", "dat")
# Endings by case and by gender: masculine, feminine, neuter, plural, and w, a weak masculine.
Endings = Mapping[str, Mapping[str, str]]


class Noun(NamedTuple):
    """A noun. Of a weak masculine (gender w), accusative and dative are like the plural: der Junge, den Jungen."""

    kind: str
    en: str
    en_plural: str
    pronoun: str
    gender: str
    de: str
    de_plural: str

    def german(self, case: str, plural: bool) -> str:
        if plural:
            return self.de_plural + ("n" if case == "dat" and self.de_plural[-1] not in "ns" else "")
        return self.de_plural if self.gender == "w" and case != "nom" else self.de


class Verb(NamedTuple):
    """A verb, the cases of its objects, and the kinds of noun that may be its subject and its (last) object."""

    en: str
    en_third: str
    en_past: str
    prefix: str
    infinitive: str
    third: str
    participle: str
    auxiliary: str
    cases: tuple[str, ...]
    subjects: tuple[str, ...]
    objects: tuple[str, ...]

    def present(self) -> tuple[str, str, str]:
        """The German present of ich, er and sie (plural), the prefix left out."""
        return self.infinitive.removesuffix("en") + "e", self.third, self.infinitive


class Determiner(NamedTuple):
    """A determiner: its German is the stem with its endings, and it rules those of the adjective behind it."""

    en: str
    stem: str
    endings: Endings
    adjective_endings: Endings


def _table(rows: str) -> list[list[str]]:
    words = [row.split() for row in rows.strip().splitlines()]
    return [["" if word == "-" else word.replace("_", " ") for word in row] for row in words]


def _endings(nom: str, acc: str, dat: str) -> Endings:
    rows = {"nom": nom, "acc": acc, "dat": dat}
    table = {case: dict(zip("mfnp", _table(row)[0], strict=True)) for case, row in rows.items()}
    return {case: {**row, "w": row["m"]} for case, row in table.items()}


#                     m  f  n  p
NONE = _endings(     "-  -  -  -",    "-  -  -  -",    "-  -  -  -")  # fmt: skip
ARTICLE = _endings(  "er ie as ie",   "en ie as ie",   "em er em en")  # fmt: skip
RELATIVE = _endings( "er ie as ie",   "en ie as ie",   "em er em enen")  # fmt: skip
STRONG = _endings(   "er e  es e",    "en e  es e",    "em er em en")  # fmt: skip
WEAK = _endings(     "e  e  e  en",   "en e  e  en",   "en en en en")  # fmt: skip
MIXED = _endings(    "er e  es en",   "en e  es en",   "en en en en")  # fmt: skip
EIN = _endings(      "-  e  -  e",    "en e  -  e",    "em er em en")  # fmt: skip

_COMMON = [
    Determiner("my", "mein", EIN, MIXED),
    Determiner("our", "unser", EIN, MIXED),
    Determiner("no", "kein", EIN, MIXED),
]
# What is often said stands more than once.
SINGULAR_DETERMINERS = [
    *[Determiner("the", "d", ARTICLE, WEAK)] * 3,
    *[Determiner("a", "ein", EIN, MIXED)] * 2,
    Determiner("this", "dies", STRONG, WEAK),
    *_COMMON,
]
PLURAL_DETERMINERS = [
    *[Determiner("the", "d", ARTICLE, WEAK)] * 3,
    *[Determiner("", "", NONE, STRONG)] * 2,
    Determiner("two", "zwei", NONE, STRONG),
    Determiner("these", "dies", STRONG, WEAK),
    *_COMMON,
]

NOUNS = [Noun(*row) for row in _table("""
    person   man       men        he   m  Mann     Männer
    person   woman     women      she  f  Frau     Frauen
    person   child     children   it   n  Kind     Kinder
    person   boy       boys       he   w  Junge    Jungen
    person   girl      girls      she  n  Mädchen  Mädchen
    person   teacher   teachers   he   m  Lehrer   Lehrer
    animal   dog       dogs       it   m  Hund     Hunde
    animal   cat       cats       it   f  Katze    Katzen
    animal   horse     horses     it   n  Pferd    Pferde
    animal   bear      bears      it   w  Bär      Bären
    thing    book      books      it   n  Buch     Bücher
    thing    apple     apples     it   m  Apfel    Äpfel
    thing    flower    flowers    it   f  Blume    Blumen
    thing    letter    letters    it   m  Brief    Briefe
    opening  door      doors      it   f  Tür      Türen
    opening  window    windows    it   n  Fenster  Fenster
    opening  suitcase  suitcases  it   m  Koffer   Koffer
""")]  # fmt: skip

# Nouns of places, and the prepositions that say where one is; all of them rule the dative.
_PREPOSITIONS = {"in": "in", "on": "auf", "under": "unter", "behind": "hinter", "in front of": "vor"}


def _place(en: str, gender: str, de: str, where: str) -> tuple[Noun, list[tuple[str, str]]]:
    return Noun("place", en, "", "it", gender, de, ""), [(each, _PREPOSITIONS[each]) for each in where.split(",")]


PLACES = [_place(*row) for row in _table("""
    garden  m  Garten  in,behind
    house   n  Haus    in,behind,in_front_of
    school  f  Schule  in,behind,in_front_of
    forest  m  Wald    in
    street  f  Straße  on
    bridge  f  Brücke  on,under
    tree    m  Baum    under,behind
""")]  # fmt: skip

# English, German stem, the kinds of noun it fits.
ADJECTIVES = [(en, de, tuple(kinds.split(","))) for en, de, kinds in _table("""
    old        alt     person,animal,thing,opening,place
    small      klein   person,animal,thing,opening,place
    big        groß    person,animal,thing,opening,place
    beautiful  schön   person,animal,thing,opening,place
    young      jung    person,animal
    hungry     hungrig person,animal
    tired      müd     person,animal
    new        neu     thing,opening
    red        rot     thing,opening
    green      grün    thing,opening
""")]  # fmt: skip
STATES = [("tired", "müde"), ("hungry", "hungrig"), ("sad", "traurig"), ("happy", "glücklich")]

_LIVING, _ANY = ("person", "animal"), ("person", "animal", "thing", "opening")
_KINDS = {"person": ("person",), "living": _LIVING, "thing": ("thing",), "opening": ("opening",), "any": _ANY, "": ()}


def _verb(row: list[str]) -> Verb:
    cases = tuple(row[8].split(",")) if row[8] else ()
    return Verb._make([*row[:8], cases, _KINDS[row[9]], _KINDS[row[10]]])


#   English                           German                                            objects  subject  object
VERBS = [_verb(row) for row in _table("""
    see       sees       saw         -   sehen     sieht     gesehen      haben  acc      living   any
    look_for  looks_for  looked_for  -   suchen    sucht     gesucht      haben  acc      living   any
    find      finds      found       -   finden    findet    gefunden     haben  acc      living   any
    draw      draws      drew        -   zeichnen  zeichnet  gezeichnet   haben  acc      person   any
    invite    invites    invited     ein laden     lädt      eingeladen   haben  acc      person   person
    call      calls      called      an  rufen     ruft      angerufen    haben  acc      person   person
    open      opens      opened      auf machen    macht     aufgemacht   haben  acc      person   opening
    close     closes     closed      zu  machen    macht     zugemacht    haben  acc      person   opening
    help      helps      helped      -   helfen    hilft     geholfen     haben  dat      person   living
    thank     thanks     thanked     -   danken    dankt     gedankt      haben  dat      person   person
    follow    follows    followed    -   folgen    folgt     gefolgt      sein   dat      living   living
    give      gives      gave        -   geben     gibt      gegeben      haben  dat,acc  person   thing
    show      shows      showed      -   zeigen    zeigt     gezeigt      haben  dat,acc  person   any
    bring     brings     brought     -   bringen   bringt    gebracht     haben  dat,acc  person   thing
    sleep     sleeps     slept       -   schlafen  schläft   geschlafen   haben  -        living   -
    wait      waits      waited      -   warten    wartet    gewartet     haben  -        living   -
    work      works      worked      -   arbeiten  arbeitet  gearbeitet   haben  -        person   -
    get_up    gets_up    got_up      auf stehen    steht     aufgestanden sein   -        living   -
    arrive    arrives    arrived     an  kommen    kommt     angekommen   sein   -        living   -
""")]  # fmt: skip

# Finite verbs by agreement: I and ich; he and er; we, they and wir, sie.
AUXILIARIES = {"haben": ("habe", "hat", "haben"), "sein": ("bin", "ist", "sind")}
MODALS = [
    (("can", "can", "can"), ("kann", "kann", "können")),
    (("must", "must", "must"), ("muss", "muss", "müssen")),
    (("want to", "wants to", "want to"), ("will", "will", "wollen")),
    (("will", "will", "will"), ("werde", "wird", "werden")),
]
REPORTS = [
    (("know", "knows", "know"), ("weiß", "weiß", "wissen")),
    (("say", "says", "say"), ("sage", "sagt", "sagen")),
    (("believe", "believes", "believe"), ("glaube", "glaubt", "glauben")),
]

# Subject, object, agreement (0 I, 1 he, 2 we), and the German cases.
PRONOUNS = [(en, en_object, int(agreement), (nom, acc, dat)) for en, en_object, agreement, nom, acc, dat in _table("""
    I     me    0  ich  mich  mir
    he    him   1  er   ihn   ihm
    she   her   1  sie  sie   ihr
    we    us    2  wir  uns   uns
    they  them  2  sie  sie   ihnen
""")]  # fmt: skip
TIMES = [("today", "heute"), ("in the evening", "am Abend"), ("on Sunday", "am Sonntag")]
