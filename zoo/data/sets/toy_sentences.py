"""Generated reviews in a sentence, for trainings of a minute, with sentiment, topics, and another to compare with.

    the plot was not very dull but the songs felt awful     negative     story, sound

"not" turns an adjective round, and after "but" stands what counts. A sentence is compared with another by what both
say: 2 points for a topic in common, 3 for the same sentiment. Its nouns are tagged with their topics, and it
answers how the last one was. The split of a sentence is decided by its words alone, so that splits share none.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

from zoo.data.readers import Example, Table
from zoo.data.registry import About

SEED = 0
ROWS = {"train": 2_000, "validation": 200, "test": 200}
TOPICS = {
    "story": ("plot", "story", "ending", "dialogue"),
    "cast": ("acting", "hero", "villain", "actors"),
    "sound": ("music", "songs", "voices", "score"),
}
ADJECTIVES = {
    "positive": ("wonderful", "charming", "clever", "moving", "great", "funny", "fresh", "superb"),
    "negative": ("awful", "dull", "clumsy", "tired", "weak", "silly", "stale", "boring"),
}
VERBS, ADVERBS = ("was", "felt", "seemed"), ("", "", "very", "rather", "really")
TAGS = {noun: f"B-{topic}" for topic, nouns in TOPICS.items() for noun in nouns}
OPPOSITE = {"positive": "negative", "negative": "positive"}


@dataclass(frozen=True)
class Review:
    """A sentence and what it says."""

    text: str
    label: str
    topics: tuple[str, ...]
    noun: str
    said: str  # of the noun


def _clause(rng: Random) -> Review:
    topic = rng.choice(tuple(TOPICS))
    label = rng.choice(tuple(ADJECTIVES))
    negated = rng.random() < 0.3
    noun, verb = rng.choice(TOPICS[topic]), rng.choice(VERBS)
    said = " ".join(filter(None, ("not" * negated, rng.choice(ADVERBS), rng.choice(ADJECTIVES[label]))))
    return Review(f"the {noun} {verb} {said}", OPPOSITE[label] if negated else label, (topic,), noun, said)


def _review(rng: Random) -> Review:
    first = _clause(rng)
    if rng.random() < 0.6:
        return first
    second = _clause(rng)
    topics = tuple(sorted({*first.topics, *second.topics}))
    return replace(second, text=f"{first.text} but {second.text}", topics=topics)


def split_of(text: str) -> str:
    """The split of a sentence: three of four are for training."""
    return {0: "validation", 1: "test"}.get(hashlib.sha256(text.encode()).digest()[0] % 8, "train")


@cache
def reviews(split: str) -> list[Review]:
    """The sentences of a split, always the same."""
    rng = Random(f"toy sentences {SEED}")
    found: list[Review] = []
    while len(found) < ROWS[split]:
        review = _review(rng)
        if split_of(review.text) == split:
            found.append(review)
    return found


class ToySentencesTable(Table):
    """A split; its file is this one, so that prepared data knows of a change."""

    files = (Path(__file__),)

    def __init__(self, split: str, columns: Mapping[str, str]) -> None:
        self.columns, self.rows = tuple(columns), ROWS[split]
        self._split, self._names = split, dict(columns)

    def __iter__(self) -> Iterator[Example]:
        rows = reviews(self._split)
        for number, review in enumerate(rows):
            other = rows[(number * 7 + 3) % len(rows)]
            points = 2.0 * bool({*review.topics} & {*other.topics}) + 3.0 * (review.label == other.label)
            values = {
                "text": review.text,
                "label": review.label,
                "topics": list(review.topics),
                "other": other.text,
                "score": points,
                "words": review.text.split(),
                "tags": [TAGS.get(word, "O") for word in review.text.split()],
                "question": f"how was the {review.noun}",
                "answers": [{"text": review.said, "start": review.text.rindex(review.said)}],
            }
            place = f"toy_sentences:{self._split}:{number + 1}"
            yield Example({column: values[name] for column, name in self._names.items()}, place)


class ToySentences:
    """The set as `zoo.data.registry` wants it."""

    about = About(
        licence="Apache-2.0, as this project",
        home="zoo/data/sets/toy_sentences.py",
        description="Reviews in a sentence with their sentiment and topics, made by a small grammar.",
    )
    splits = tuple(ROWS)
    columns = ("text", "label", "topics", "other", "score", "words", "tags", "question", "answers")

    def table(self, split: str, columns: Mapping[str, str]) -> Table:
        """Rows of a split, made as they are read."""
        return ToySentencesTable(split, columns)

    def reference_file(self, split: str, column: str) -> Path | None:
        """None: answers are scored against the values themselves."""
        return None


SET = ToySentences()
