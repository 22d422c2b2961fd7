"""A look at the user's labelled texts before a training: what would spoil it, where, and what to do about it.

The sibling of `zoo.data.check`, for texts or pairs of texts with a label, several labels, or a tag a word. One pass
over each table; of each distinct text of train a hash, its label's and its place are remembered. Nothing is changed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.data.check import KINDS, Kind, Report, hash_of, of_text, shown
from zoo.data.conll import iob2
from zoo.data.tables import Table
from zoo.progress import track

FEW = 10  # examples of a label: too few to learn from
MOST_SHOWN = 20  # labels in a list

LABELLED = {
    "known": Kind("texts that also stand in train", "Remove them from train: scores are too good otherwise."),
    "unknown label": Kind(
        "rows with a label that train does not have", "It cannot be learned: is it spelled otherwise there?"
    ),
    "two labels": Kind(
        "texts that came before in the same part with another label", "Decide for one of the two: both cannot be right."
    ),
    "empty": Kind("rows with an empty text", "Remove them: they say nothing."),
    "no label": Kind("rows without a label", "Remove them, or give them one."),
    "lines": Kind(
        "texts of several lines", "Was a quotation mark of CSV left open there, so that it swallowed the rows after it?"
    ),
    "few": Kind(f"labels with fewer than {FEW} examples", "Add examples, or join them with another label."),
    "duplicate": Kind(
        "rows that came before in the same part", "Remove them, unless their frequency is meant to count."
    ),
} | {name: KINDS[name] for name in ("mojibake", "replacement", "long", "control", "normalization")}


def check_labelled(
    train: Table,
    validation: Table | None = None,
    test: Table | None = None,
    inputs: tuple[str, ...] = ("text",),
    answer: str = "label",
) -> Report:
    """Look through labelled texts for what would spoil a training or its scores.

    Args:
        train: rows to learn from.
        validation, test: rows that are held back from training; looked up in train, and looked through themselves.
        inputs: names of the columns that are read: texts, or one of lists of words.
        answer: name of the column with the label: a string, a list of strings (several labels), or a tag a word.

    Returns: counts, examples with their places and advice, by kind (see `LABELLED`); how often each label of train
        stands there is a note. Of tags, it is the entities that are counted.
    """
    report = Report(kinds=LABELLED)
    learned = _look_through("train", train, inputs, answer, report)
    for label, (count, place) in learned.labels.items():
        if count < FEW:
            report.add("few", "train", place, f"{label}: {count:,}")
    report.notes.append(f"Labels of train: {_listed({label: count for label, (count, _) in learned.labels.items()})}.")
    for part, table in (("validation", validation), ("test", test)):
        if table is not None:
            held = _look_through(part, table, inputs, answer, report)
            for key, (_, place, text) in held.texts.items():
                if key in learned.texts:
                    report.add("known", part, place, f"also at {learned.texts[key][1]}: {text}")
            for label, (count, place) in held.labels.items():
                if label not in learned.labels:
                    report.add("unknown label", part, place, f"{label}: {count:,}")
    return report


@dataclass
class _Seen:
    """texts: hash of a text -> (hash of its label, place, the text as shown); labels: name -> (count, first place)."""

    texts: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    labels: dict[str, tuple[int, str]] = field(default_factory=dict)


def _look_through(part: str, table: Table, inputs: tuple[str, ...], answer: str, report: Report) -> _Seen:
    seen = _Seen()
    report.rows[part] = 0
    with track(f"checking {part}", total=table.rows) as progress:
        for values, place in table:
            report.rows[part] += 1
            progress.advance()
            texts = [_text(values[column]) for column in inputs]
            if not all(map(str.strip, texts)):
                report.add("empty", part, place, shown(*texts))
                continue  # empty rows are alike in all else
            for text in texts:
                if "\n" in text.strip():
                    report.add("lines", part, place, shown(text))
                for kind, sign in of_text(text):
                    report.add(kind, part, place, sign)
            labels = list(_labels(values, answer))
            if not labels and not isinstance(values[answer], list):
                report.add("no label", part, place, shown(*texts))
            for label in labels:
                count, first = seen.labels.get(label, (0, place))
                seen.labels[label] = (count + 1, first)
            _compare(part, place, texts, str(values[answer]), seen, report)
    return seen


def _compare(part: str, place: str, texts: list[str], label: str, seen: _Seen, report: Report) -> None:
    """Look for the row among those before it."""
    key, of_label = hash_of("\0".join(texts)), hash_of(label)
    before = seen.texts.setdefault(key, (of_label, place, shown(*texts)))
    if before[0] != of_label:
        report.add("two labels", part, place, f"{label[:40]}, another one at {before[1]}: {before[2]}")
    elif before[1] != place:
        report.add("duplicate", part, place, before[2])


def _text(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _labels(values: Mapping[str, Any], answer: str) -> Iterator[str]:
    """The names in an answer; of tags, the kinds of the entities."""
    value = values[answer]
    if not isinstance(value, list):
        yield from [str(value)] if str(value).strip() else []
        return
    for tag in iob2(value):
        if tag.startswith("B-"):
            yield tag[2:]
        elif tag != "O" and not tag.startswith("I-"):
            yield tag


def _listed(counts: Mapping[str, int]) -> str:
    most = Counter(counts).most_common()
    shortened = f" and {len(most) - MOST_SHOWN} more" if len(most) > MOST_SHOWN else ""
    return (", ".join(f"{label} {count:,}" for label, count in most[:MOST_SHOWN]) or "none") + shortened
