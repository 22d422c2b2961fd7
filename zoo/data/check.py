"""A look at the user's sentence pairs before a training: what would spoil it, where, and what to do about it.

One pass over each table; texts are remembered by 64-bit hashes only, eight bytes a row, so large corpora can be
checked too. Nothing is changed.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice
from statistics import median
from typing import NamedTuple

import numpy as np

from zoo.data.language import Languages, script_of
from zoo.data.readers import Example, Table
from zoo.progress import track

SAMPLE = 10_000  # rows at the start of train from which is learned what is usual
ROWS_AT_ONCE = 4096
MOST_EXAMPLES = 3
LONGEST_SHOWN = 100  # characters of an example
RATIO = 3.0  # times longer or shorter than usual, against the other side
RATIO_FROM = 25  # characters: a short text has many a length
MOST_WORDS, MOST_CHARACTERS = 250, 2000
LEANING = 0.5  # how clearly a text must look like the other column; correct ones lie at 1 and more on their own side

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]")
# Two or more bytes of UTF-8 that were read as Windows-1252: ä -> Ã¤, ' -> â€™, п -> Ð¿.
FOLLOWING = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
MOJIBAKE = re.compile(f"[ÂÃ]{FOLLOWING}|â{FOLLOWING}{{2}}|ðŸ{FOLLOWING}{{2}}|(?:[ÐÑ]{FOLLOWING}){{2}}")


class Kind(NamedTuple):
    """What may be found: what it is, and what to do."""

    problem: str
    remedy: str


KINDS = {
    "source in train": Kind(
        "sources that also stand in train", "Remove them from train: scores are too good otherwise."
    ),
    "pair in train": Kind("pairs that also stand in train", "Remove them from train."),
    "empty": Kind("rows with an empty side", "They are left out; many of them mean that lines have shifted."),
    "language": Kind(
        "texts that look like the other column's language, or like another script",
        "Are the two swapped, or was a text left untranslated? Remove such rows. (A guess from letters alone.)",
    ),
    "mojibake": Kind(
        "texts that were decoded wrongly (Ã¤ for ä)",
        "UTF-8 was read as Windows-1252 somewhere: go back to the original file, or mend it with ftfy.",
    ),
    "replacement": Kind(
        "texts with U+FFFD, the mark of lost characters", "They were lost in an earlier conversion: convert anew."
    ),
    "copy": Kind("rows whose target is a copy of the source", "Remove them, or the model learns to copy."),
    "ratio": Kind(
        f"rows with one side {RATIO:g} times longer than usual for the other",
        "Often two sentences against one, or lines that have shifted. Look at them, remove what does not fit.",
    ),
    "long": Kind(
        f"texts above {MOST_WORDS} words or {MOST_CHARACTERS:,} characters",
        "They are cut or left out by the limit of length: split them into sentences.",
    ),
    "control": Kind("texts with control characters or invisible ones", "Remove these characters."),
    "duplicate": Kind(
        "pairs that came before in the same part", "Remove them, unless their frequency is meant to count."
    ),
    "normalization": Kind(
        "texts that are not in Unicode's composed form (NFC)",
        "Bring all to one form. (SentencePiece's own rule does so; scores compare the texts as they are.)",
    ),
}


@dataclass
class Finding:
    """What was found of one kind in one part. examples: (place, text) of the first few."""

    kind: str
    part: str
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Report:
    """rows: how many each part has. findings: those that there are, the gravest kinds first.

    kinds: what may be found, in this order; notes: lines that are no complaint.
    """

    rows: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=lambda: KINDS)
    notes: list[str] = field(default_factory=list)
    _found: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def add(self, kind: str, part: str, place: str, text: str) -> None:
        """Count one more; keep it as an example if there are few."""
        finding = self._found.setdefault((kind, part), Finding(kind, part))
        finding.count += 1
        if len(finding.examples) < MOST_EXAMPLES:
            finding.examples.append((place, text))

    @property
    def findings(self) -> list[Finding]:
        order = list(self.kinds)
        return sorted(self._found.values(), key=lambda finding: (order.index(finding.kind), finding.part))


def check(
    train: Table,
    validation: Table | None = None,
    test: Table | None = None,
    columns: tuple[str, str] = ("source", "target"),
) -> Report:
    """Look through sentence pairs for what would spoil a training or its scores.

    Args:
        train: pairs to learn from; what is usual (lengths, scripts, letters) is learned from its first rows.
        validation, test: pairs that are held back from training; looked up in train, and looked through themselves.
        columns: names of the two text columns.

    Returns: counts, examples with their places and advice, by kind (see `KINDS`).
    """
    report = Report()
    rows = iter(train)
    sample = list(islice(rows, SAMPLE))
    usual = _Usual(sample, columns)
    held = {}
    for part, table in (("validation", validation), ("test", test)):
        if table is not None:
            held[part] = _Held()
            _look_through(part, table, table, columns, usual, report, held[part].remember)

    def look_up(source: int, pair: int, place: str, text: str) -> None:
        for part, texts in held.items():
            # Each is taken out when found, so that what stands in train many times counts once.
            for kind, known, key in (("source", texts.sources, source), ("pair", texts.pairs, pair)):
                if key in known:
                    report.add(f"{kind} in train", part, known.pop(key), f"also at {place}: {shown(text)}")

    _look_through("train", train, chain(sample, rows), columns, usual, report, look_up)
    return report


class _Usual:
    """What is usual in a sample of train: how long a target is for its source, in which scripts, of which trigrams."""

    def __init__(self, sample: list[Example], columns: tuple[str, str]) -> None:
        pairs = [tuple(str(values[column]) for column in columns) for values, _ in sample]
        pairs = [pair for pair in pairs if all(map(str.strip, pair))]
        self.ratio = median(len(target) / len(source) for source, target in pairs) if pairs else 1.0
        sides = [[pair[side] for pair in pairs] for side in (0, 1)]
        self.scripts = [Counter(map(script_of, texts)).most_common(1)[0][0] if texts else "" for texts in sides]
        self.languages = Languages(*sides)


class _Held:
    """Hashes of held-back texts, and the place where each stands."""

    def __init__(self) -> None:
        self.sources: dict[int, str] = {}
        self.pairs: dict[int, str] = {}

    def remember(self, source: int, pair: int, place: str, text: str) -> None:
        self.sources.setdefault(source, place)
        self.pairs.setdefault(pair, place)


class Seen:
    """Which 64-bit hashes came before: eight bytes each, in sorted runs of doubling length."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Take in some hashes, uint64 [n]; which of them came before, here or in an earlier call: bool [n]."""
        if not len(hashes):
            return np.zeros(0, bool)
        unique, first = np.unique(hashes, return_index=True)
        before = np.ones(len(hashes), bool)
        before[first] = False
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            before |= run[places] == hashes
        self._runs.append(unique)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last, previous = self._runs.pop(), self._runs.pop()
            self._runs.append(np.union1d(previous, last))
        return before


def _look_through(
    part: str,
    table: Table,
    examples: Iterable[Example],
    columns: tuple[str, str],
    usual: _Usual,
    report: Report,
    known: Callable[[int, int, str, str], None],
) -> None:
    """Look at each row of a part; `known` is told the hashes of each row's source and pair, its place and its text."""
    seen = Seen()
    examples = iter(examples)
    report.rows[part] = 0
    with track(f"checking {part}", total=table.rows) as progress:
        while chunk := list(islice(examples, ROWS_AT_ONCE)):
            rows = [(str(values[columns[0]]), str(values[columns[1]]), place) for values, place in chunk]
            pairs = [hash_of(f"{source}\0{target}") for source, target, _ in rows]
            for (source, target, place), pair, repeated in zip(
                rows, pairs, seen.add(np.array(pairs, np.uint64)), strict=True
            ):
                if not source.strip() or not target.strip():
                    report.add("empty", part, place, shown(source, target))
                    continue  # empty rows are alike in all else
                if repeated:
                    report.add("duplicate", part, place, shown(source, target))
                for kind, text in _of_row(source, target, usual):
                    report.add(kind, part, place, text)
                known(hash_of(source), pair, place, source)
            report.rows[part] += len(rows)
            progress.advance(len(rows))


def hash_of(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _of_row(source: str, target: str, usual: _Usual) -> Iterator[tuple[str, str]]:
    """Kinds of what is wrong with one row whose sides are not empty, with the text that shows it."""
    if source.strip() == target.strip() and script_of(source):
        yield "copy", shown(source)
    elif reason := _wrong_language(source, target, usual):
        yield "language", reason
    excess = abs(math.log(len(target) / len(source) / usual.ratio))
    if excess > math.log(RATIO) and max(len(source), len(target)) >= RATIO_FROM:
        yield "ratio", shown(source, target)
    yield from of_text(source)
    yield from of_text(target)


def of_text(text: str) -> Iterator[tuple[str, str]]:
    """Kinds of what is wrong with one text, whatever it belongs to, with what shows it."""
    if len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS:
        yield "long", f"{len(text.split()):,} words, {len(text):,} characters: {shown(text)}"
    if CONTROL.search(text):
        yield "control", shown(text)
    if text.isascii():
        return  # none of what follows
    if "\ufffd" in text:
        yield "replacement", shown(text)
    if MOJIBAKE.search(text):
        yield "mojibake", shown(text)
    if not unicodedata.is_normalized("NFC", text):
        yield "normalization", shown(text)


def _wrong_language(source: str, target: str, usual: _Usual) -> str:
    """Which side of a row looks unlike its column, and how; "" if none does."""
    for name, text, script, sign in (("source", source, usual.scripts[0], 1), ("target", target, usual.scripts[1], -1)):
        found = script_of(text)
        if found and script and found != script:
            return f"{name} in {found}, not {script}: {shown(text)}"
        if sign * usual.languages.leaning(text) < -LEANING:
            return f"{name} looks like the other column: {shown(text)}"
    return ""


def shown(*texts: str) -> str:
    """Texts as an example: on one line, not too long, what cannot be seen as an escape."""
    whole = " ||| ".join(texts)
    cut = whole if len(whole) <= LONGEST_SHOWN else f"{whole[:LONGEST_SHOWN]} …"
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in cut)


def render(report: Report) -> str:
    """A report as text to print, the gravest findings first: how many, the first few with their places, what to do."""
    lines = ["Looked at " + ", ".join(f"{rows:,} rows of {part}" for part, rows in report.rows.items()) + "."]
    lines += report.notes
    for finding in report.findings:
        kind = report.kinds[finding.kind]
        lines += ["", f"{finding.part}: {kind.problem}: {finding.count:,}"]
        lines += [f"  {place}  {text}" for place, text in finding.examples]
        lines += [f"  > {kind.remedy}"]
    return "\n".join(lines if report.findings else [*lines, "Nothing to complain of."])
