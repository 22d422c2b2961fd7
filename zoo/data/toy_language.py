"""A generated language: English sentences with their one German translation, for trainings of a minute.

A synchronous grammar: each clause is made once and written in both languages. Small as it is, it holds what makes
German hard to translate into: three genders, cases ruled by verb and preposition, endings of adjectives by determiner
(weak, mixed, strong), the finite verb second in a main clause and last in a subordinate one, participles, infinitives
and split prefixes at the end of a clause, relative clauses between a subject and its verb, and pronouns that take the
gender of a noun in another clause:

    The cat that the children see is tired.      Die Katze, die die Kinder sehen, ist müde.
    The dog waits because it is hungry.          Der Hund wartet, weil er hungrig ist.
    Today my old teacher invites two girls.      Heute lädt mein alter Lehrer zwei Mädchen ein.

No English sentence has two translations. The split a sentence belongs to is decided by its English alone, so that
splits share none, whatever the seed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from zoo.data.readers import Example, Table
from zoo.data.toy_lexicon import (
    ADJECTIVES,
    AUXILIARIES,
    CASES,
    MODALS,
    NOUNS,
    PLACES,
    PLURAL_DETERMINERS,
    PRONOUNS,
    RELATIVE,
    REPORTS,
    SINGULAR_DETERMINERS,
    STATES,
    TIMES,
    VERBS,
    Determiner,
    Noun,
    Verb,
)

SEED = 0
ROWS = {"train": 30_000, "validation": 1_000, "test": 1_000}
GRAMMAR = (Path(__file__), Path(__file__).with_name("toy_lexicon.py"))  # what the rows are made from
SHORTEST, LONGEST = 4, 16  # English words
NOTHING = ("", "")
LIVING = ("person", "animal")
# Agreement: which of a verb's three forms goes with a subject; 0 is that of "I". English and German need the same.
SINGULAR, PLURAL = 1, 2


class Nominal(NamedTuple):
    """A noun phrase or a pronoun."""

    en: str  # as subject
    en_object: str
    de: Mapping[str, str]  # by case
    agreement: int
    kind: str
    noun: Noun | None = None  # None: a pronoun
    gender: str = ""


class Predicate(NamedTuple):
    """What a clause says of its subject: finite verbs by agreement, and what German puts at the end."""

    en: Sequence[str]
    de: Sequence[str]
    end: str = ""  # participle, infinitive, adjective
    prefix: str = ""  # of a separable verb: at the end of a main clause, before the finite verb of a subordinate one


@dataclass(frozen=True)
class Clause:
    """A clause of both languages. Adverbials are pairs of English and German."""

    subject: Nominal
    predicate: Predicate
    objects: tuple[tuple[str, Nominal], ...] = ()  # with their German cases
    time: tuple[str, str] = NOTHING
    place: tuple[str, str] = NOTHING

    def english(self) -> str:
        finite = self.predicate.en[self.subject.agreement]
        objects = [each.en_object for _, each in self.objects]
        return _join(self.subject.en, finite, *objects, self.place[0], self.time[0])

    def german_main(self, front: str = "") -> str:
        """The finite verb second: behind the subject or, where something else is in front, before it."""
        subject, finite = self.subject.de["nom"], self.predicate.de[self.subject.agreement]
        first, third = (front, subject) if front else (subject, "")
        return _join(first, finite, third, self._middle(), self.predicate.end, self.predicate.prefix)

    def german_subordinate(self) -> str:
        """The finite verb last."""
        finite = self.predicate.prefix + self.predicate.de[self.subject.agreement]
        return _join(self.subject.de["nom"], self._middle(), self.predicate.end, finite)

    def _middle(self) -> str:
        pronouns = [each.de[case] for case, each in self.objects if each.noun is None]
        nouns = [each.de[case] for case, each in self.objects if each.noun is not None]
        return _join(*pronouns, self.time[1], *nouns, self.place[1])


def noun_phrase(noun: Noun, plural: bool, determiner: Determiner, adjective: tuple[str, str] = NOTHING) -> Nominal:
    """Builds "the old dogs" and its German in every case; `adjective` is the English one and the German stem."""
    en = _join(determiner.en, adjective[0], noun.en_plural if plural else noun.en)
    gender = "p" if plural else noun.gender
    de = {}
    for case in CASES:
        article = determiner.stem + determiner.endings[case][gender]
        described = adjective[1] and adjective[1] + determiner.adjective_endings[case][gender]
        de[case] = _join(article, described, noun.german(case, plural))
    if determiner.en == "a" and en[2] in "aeiou":
        en = "an" + en[1:]
    return Nominal(en, en, de, PLURAL if plural else SINGULAR, noun.kind, noun, gender)


def pronoun_of(nominal: Nominal) -> Nominal:
    """Returns the pronoun that stands for a nominal as a subject: its English one, the German one by gender."""
    if nominal.noun is None:
        return nominal
    en = "they" if nominal.gender == "p" else nominal.noun.pronoun
    de = {"nom": {"m": "er", "w": "er", "f": "sie", "n": "es", "p": "sie"}[nominal.gender]}
    return nominal._replace(en=en, de=de)


class Speaker:
    """Draws sentences. Every method draws one thing and follows what the earlier ones have drawn."""

    def __init__(self, seed: str) -> None:
        self._rng = Random(seed)

    def sentence(self) -> tuple[str, str]:
        """Returns one English sentence of `SHORTEST` to `LONGEST` words and its German."""
        while True:
            make = self._rng.choices([self._plain, self._because, self._report, self._when], [4, 2, 2, 2])[0]
            en, de = map(_written, make())
            if SHORTEST <= len(en.split()) <= LONGEST:
                return en, de

    def _plain(self) -> tuple[str, str]:
        tense = self._tense()
        clause = self._clause(tense, self._subject(tense, relative=0.5))
        if clause.time == NOTHING or self._chance(0.5):
            return clause.english(), clause.german_main()
        en, de = clause.time
        clause = replace(clause, time=NOTHING)
        return _join(en, clause.english()), clause.german_main(front=de)

    def _because(self) -> tuple[str, str]:
        tense = self._tense()
        first = self._clause(tense, self._subject(tense, relative=0.15))
        second = self._clause(tense, self._next_subject(first.subject))
        return (
            f"{first.english()} because {second.english()}",
            f"{first.german_main()} , weil {second.german_subordinate()}",
        )

    def _report(self) -> tuple[str, str]:
        subject = self._noun_phrase(("person",)) if self._chance(0.8) else _pronoun(*self._rng.choice(PRONOUNS))
        report = Clause(subject, Predicate(*self._rng.choice(REPORTS)))
        content = self._clause(self._tense(), self._next_subject(subject))
        return (
            f"{report.english()} that {content.english()}",
            f"{report.german_main()} , dass {content.german_subordinate()}",
        )

    def _when(self) -> tuple[str, str]:
        # In the present only: of the past, "when" may be "wenn" or "als".
        condition = self._clause("present", self._someone())
        result = self._clause("present", self._next_subject(condition.subject))
        return (
            f"when {condition.english()} , {result.english()}",
            result.german_main(front=f"wenn {condition.german_subordinate()} ,"),
        )

    def _clause(self, tense: str, subject: Nominal) -> Clause:
        time = self._rng.choice(TIMES) if self._chance(0.25) else NOTHING
        place = self._place() if self._chance(0.2) else NOTHING
        if self._chance(0.2):
            return Clause(subject, self._state(tense), (), time, place)
        verb = self._rng.choice([verb for verb in VERBS if subject.kind in verb.subjects])
        return Clause(subject, self._action(verb, tense), self._objects(verb, subject), time, place)

    def _state(self, tense: str) -> Predicate:
        en, de = self._rng.choice(STATES)
        if tense == "past":
            return Predicate([f"was {en}", f"was {en}", f"were {en}"], ["war", "war", "waren"], de)
        return Predicate([f"am {en}", f"is {en}", f"are {en}"], AUXILIARIES["sein"], de)

    def _action(self, verb: Verb, tense: str) -> Predicate:
        if tense == "past":
            return Predicate([verb.en_past] * 3, AUXILIARIES[verb.auxiliary], verb.participle)
        if self._chance(0.35):
            en, de = self._rng.choice(MODALS)
            return Predicate([f"{modal} {verb.en}" for modal in en], de, verb.prefix + verb.infinitive)
        return Predicate([verb.en, verb.en_third, verb.en], verb.present(), prefix=verb.prefix)

    def _objects(self, verb: Verb, subject: Nominal) -> tuple[tuple[str, Nominal], ...]:
        objects: list[tuple[str, Nominal]] = []
        for case in verb.cases:
            kinds = verb.objects if case == verb.cases[-1] else ("person",)
            taken = [each.noun for each in (subject, *(nominal for _, nominal in objects))]
            # "gives him a book", but never "gives him it"
            if "person" in kinds and (case != "acc" or len(verb.cases) == 1) and self._chance(0.25):
                objects.append((case, self._object_pronoun(subject)))
            else:
                objects.append((case, self._noun_phrase(kinds, taken, objects_too=True)))
        return tuple(objects)

    def _object_pronoun(self, subject: Nominal) -> Nominal:
        """Not the subject's own, which would be reflexive; nor "I see us"."""
        ours = ("I", "we")
        fitting = [each for each in PRONOUNS if each[0] != subject.en and not (each[0] in ours and subject.en in ours)]
        return _pronoun(*self._rng.choice(fitting))

    def _subject(self, tense: str, relative: float) -> Nominal:
        """The subject of a first clause, with a relative clause in so many cases."""
        subject = self._someone()
        return self._with_relative(subject, tense) if subject.noun and self._chance(relative) else subject

    def _someone(self, but: Sequence[Noun | None] = ()) -> Nominal:
        if self._chance(0.2):
            return _pronoun(*self._rng.choice(PRONOUNS))
        return self._noun_phrase(LIVING, but)

    def _next_subject(self, subject: Nominal) -> Nominal:
        """The subject of a second clause: the first one's pronoun, or someone new.

        A new "she" would be "sie", where the one that stands for "the girl" is "es": so no new pronoun.
        """
        if self._chance(0.6):
            return pronoun_of(subject)
        return self._noun_phrase(LIVING, [subject.noun])

    def _noun_phrase(self, kinds: Sequence[str], but: Sequence[Noun | None] = (), objects_too: bool = False) -> Nominal:
        noun = self._rng.choice([noun for noun in NOUNS if noun.kind in kinds and noun not in but])
        plural = self._chance(0.35)
        determiners = PLURAL_DETERMINERS if plural else SINGULAR_DETERMINERS
        determiner = self._rng.choice([each for each in determiners if objects_too or each.en != "no"])
        return noun_phrase(noun, plural, determiner, self._adjective(noun))

    def _adjective(self, noun: Noun) -> tuple[str, str]:
        if not self._chance(0.35):
            return NOTHING
        return self._rng.choice([(en, de) for en, de, kinds in ADJECTIVES if noun.kind in kinds])

    def _place(self) -> tuple[str, str]:
        noun, prepositions = self._rng.choice(PLACES)
        en, de = self._rng.choice(prepositions)
        determiner = self._rng.choice([each for each in SINGULAR_DETERMINERS if each.en != "no"])
        place = noun_phrase(noun, False, determiner, self._adjective(noun))
        return f"{en} {place.en}", f"{de} {place.de['dat']}".replace("in dem ", "im ")

    def _with_relative(self, phrase: Nominal, tense: str) -> Nominal:
        """Adds "that the children see" or "who sees the children" to a noun phrase."""
        gone = phrase._replace(en="", en_object="", de=dict.fromkeys(CASES, ""))
        if self._chance(0.5):
            case, en = "nom", "who" if phrase.kind == "person" else "that"
            clause = self._clause(tense, gone)
        else:
            subject = self._someone(but=[phrase.noun])
            fitting = [verb for verb in VERBS if len(verb.cases) == 1 and phrase.kind in verb.objects]
            verb = self._rng.choice([verb for verb in fitting if subject.kind in verb.subjects])
            case, en = verb.cases[0], "that"
            clause = Clause(subject, self._action(verb, tense), ((case, gone),))
        en = f"{phrase.en} {en} {clause.english()}"
        relative = f", d{RELATIVE[case][phrase.gender]} {clause.german_subordinate()} ,"
        return phrase._replace(en=en, en_object=en, de={each: f"{phrase.de[each]} {relative}" for each in CASES})

    def _tense(self) -> str:
        return "past" if self._chance(0.25) else "present"

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability


def _pronoun(en: str, en_object: str, agreement: int, cases: Sequence[str]) -> Nominal:
    return Nominal(en, en_object, dict(zip(CASES, cases, strict=True)), agreement, "person")


def _join(*words: str) -> str:
    return " ".join(filter(None, words))


def _written(words: str) -> str:
    """Makes words into a sentence: commas that meet become one, the first letter large, a period."""
    text = words.replace(" , ,", " ,").replace(" ,", ",").rstrip(",")
    return text[0].upper() + text[1:] + "."


def split_of(english: str) -> str:
    """The split of a sentence: three of four are for training."""
    number = hashlib.sha256(english.encode()).digest()[0] % 8
    return {0: "validation", 1: "test"}.get(number, "train")


def stream(seed: int, split: str) -> Iterator[tuple[str, str]]:
    """Sentences of a split without end: (English, German). Short ones come again now and then."""
    speaker = Speaker(f"toy language {seed}")
    while True:
        en, de = speaker.sentence()
        if split_of(en) == split:
            yield en, de


def sentences(seed: int, count: int, split: str) -> list[tuple[str, str]]:
    """The first `count` sentences of a split; the same seed gives the same ones, and fewer are a part of more."""
    return list(islice(stream(seed, split), count))


@cache
def _rows(split: str) -> list[tuple[str, str]]:
    """The rows of `ToyTable`. They are few, and a training reads them several times."""
    return sentences(SEED, ROWS[split], split)


class ToyTable(Table):
    """A split as a table of `ROWS`; its files are the grammar's, so that prepared data knows of a change.

    Args:
        split: "train", "validation" or "test".
        columns: for each column of the task, "en" or "de".
    """

    files = GRAMMAR

    def __init__(self, split: str, columns: Mapping[str, str]) -> None:
        self.columns = tuple(columns)
        self.rows = ROWS[split]
        self._split, self._names = split, dict(columns)

    def __iter__(self) -> Iterator[Example]:
        for number, (en, de) in enumerate(_rows(self._split), 1):
            values = {"en": en, "de": de}
            place = f"toy_language:{self._split}:{number}"
            yield Example({column: values[name] for column, name in self._names.items()}, place)


def table(split: str, columns: Mapping[str, str]) -> ToyTable:
    """Rows of a split: 30,000 for training, 1,000 each for validation and test; `columns` as for `ToyTable`."""
    return ToyTable(split, columns)
