"""Lines to hold preprocessors to: real sentences where they are at hand, and generated ones of every script."""

import gzip
import random

import pytest

from tests.conftest import data

# First and last letter of each script, then what goes wrong most often: marks that combine, joiners, odd blanks,
# control characters, full-width and compatibility forms, emoji with their modifiers, the ends of Unicode's planes.
SCRIPTS = {
    "latin": "az", "cyrillic": "ая", "greek": "αω", "cjk": "一龠", "kana": "ぁヿ", "hangul": "가힣", "arabic": "ءي",
    "hebrew": "את", "devanagari": "ऀॿ", "thai": "กฺ", "jamo": "\u1100\u11ff", "emoji": "\U0001f300\U0001f6ff",
    "flags": "\U0001f1e6\U0001f1ff", "skin": "\U0001f3fb\U0001f3ff", "capitals": "ÀÝ", "fullwidth": "！～",
    "marks": "\u0300\u036f", "ligatures": "ﬀﬆ", "blanks": "\u2000\u200f", "controls": "\x00\x1f", "letterlike": "℀ℹ",
    "mathematical": "\U0001d400\U0001d7ff", "private": "\ue000\ue0ff", "last": "\U0010fff0\U0010ffff",
}  # fmt: skip

# A little language, to learn a small vocabulary from.
SENTENCES = [
    f"{who} {does} {what}"
    for who in ("the old man", "a young woman", "my brother", "nobody here", "die alte Frau", "every teacher")
    for does in ("feeds", "reads about", "never forgets", "follows", "füttert", "photographs")
    for what in (
        "the small dog in the garden",
        "a red book",
        "our neighbours",
        "den Hund auf der Straße",
        "seven birds",
    )
]


def real_lines(languages: str = "en de fr", split: str = "val") -> list[str]:
    """The lines of Multi30k; skips the test where the data is not at hand."""
    files = [data(f"text/multi30k/raw/{split}.{language}.gz") for language in languages.split()]
    if not all(file.is_file() for file in files):
        pytest.skip("needs text/multi30k below ZOO_DATA")
    return [line for file in files for line in gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")[:-1]]


def generated_lines(count: int, seed: int = 0) -> list[str]:
    """Lines of one to thirty words, each word of one script, some with letters of any other mixed in."""
    rng = random.Random(seed)
    ranges = [(ord(first), ord(last)) for first, last in SCRIPTS.values()]

    def word() -> str:
        home = rng.choice(ranges)
        letters = (rng.choice(ranges) if rng.random() < 0.1 else home for _ in range(rng.randint(1, 8)))
        return "".join(chr(rng.randint(*letter)) for letter in letters)

    return [rng.choice(" \t  ").join(word() for _ in range(rng.randint(1, 30))) for _ in range(count)]


def learning_lines(count: int = 3000) -> list[str]:
    """Plain text of several scripts to learn a vocabulary from, with words that come again."""
    rng = random.Random(1)
    words = ["the", "of", "and", "der", "die", "das", "ist", "ein", "et", "le", "la", "une", "Straße", "10,000", "000"]
    words += generated_lines(300, seed=2)
    return [" ".join(rng.choices(words, k=rng.randint(2, 6))) for _ in range(count)]
