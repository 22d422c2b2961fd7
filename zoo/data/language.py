"""Does a text look like the other texts of its column? Told from the columns themselves, without outside data.

Two statistics, both crude and said to be so: the script of most letters, and how much better the trigrams of one column
explain a text than those of the other (Cavnar and Trenkle: N-Gram-Based Text Categorization, 1994; here as a log
likelihood ratio). They find lines that were swapped, left untranslated, or slipped in from a third script; a third
language of the same script they do not find.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

import numpy as np

BUCKETS = 1 << 16  # trigrams are counted by hash: few meet among the some ten thousand that a language uses
LEAST_TRIGRAMS = 15  # shorter texts say too little: names, numbers, greetings
LEAST_LETTERS = 4
NO_LETTERS = re.compile(r"[\W\d_]+")
# Japanese is written in three scripts at once.
TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HALFWIDTH": "CJK", "FULLWIDTH": "LATIN"}


def script_of(text: str) -> str:
    """The script of most letters, as Unicode names it (LATIN, CYRILLIC, CJK …); "" where there are too few letters."""
    if text.isascii():  # most lines of most corpora; counting each letter's script takes five times as long
        return "LATIN" if sum(map(str.isalpha, text)) >= LEAST_LETTERS else ""
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if script := _script(character):
            counts[script] += count
    if counts.total() < LEAST_LETTERS:
        return ""
    return counts.most_common(1)[0][0]


@cache
def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "").split(" ")[0]
    return TOGETHER.get(name, name)


class Languages:
    """The trigrams of two columns, learned from a sample of each."""

    def __init__(self, first: Iterable[str], second: Iterable[str]) -> None:
        one, other = (self._frequencies(texts) for texts in (first, second))
        self._ratio = np.log(one) - np.log(other)  # float64 [BUCKETS]

    def leaning(self, text: str) -> float:
        """Mean log likelihood ratio of a text's trigrams: above 0 like the first column, below like the second.

        0 where the text is too short to tell.
        """
        trigrams = _trigrams(text)
        return float(self._ratio[trigrams].mean()) if len(trigrams) >= LEAST_TRIGRAMS else 0.0

    @staticmethod
    def _frequencies(texts: Iterable[str]) -> np.ndarray:
        counts = np.ones(BUCKETS)  # add-one smoothing: an unseen trigram is rare, not impossible
        for text in texts:
            np.add.at(counts, _trigrams(text), 1)
        return counts / counts.sum()


def _trigrams(text: str) -> np.ndarray:
    """Hashes of the trigrams of a text, case and digits aside: int64 [characters], below BUCKETS."""
    words = NO_LETTERS.sub(" ", f" {text.lower()} ")
    points = np.frombuffer(words.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    return (points[:-2] * 7919 + points[1:-1] * 104_729 + points[2:] * 1_299_709) % BUCKETS
