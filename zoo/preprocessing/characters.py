"""What the tokenizers library does to every character, as tables small enough for a graph.

The library is asked, character by character: its Unicode version is then that of the tables, and no rule of its is
written a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from tokenizers import Regex, normalizers, pre_tokenizers

CHARACTERS = 0x110000
BLOCK = 1 << 14
INHABITED = (0, 1, 2, 3, 14, 15, 16)  # planes; in the others are no characters, and each stays as it is
MARK = "~"  # stands between characters that are asked for, and touches none of them
NONE = -1  # where a character becomes fewer characters than others do

IN_WORD, BLANK, ALONE = range(3)  # how WordPiece cuts: at a blank; around a character that is a word of its own
OTHER, LETTER, NUMBER, SPACE = range(4)  # classes of the byte pairs' pattern


class Ranges:
    """A table over all characters, for tables that step evenly over long stretches: letters that stay, lowercasing.

    The row of a character c is `first[i] + step[i] * c`, where i is the last stretch with `begins[i]` <= c.

    Args:
        rows: int [N, C], the row of every character from 0 on.

    Attributes:
        begins: int32 [R], rising, from 0 on.
        first: int32 [R, C].
        step: bool [R, C].
    """

    def __init__(self, rows: np.ndarray) -> None:
        steps = np.diff(rows, axis=0)  # steps[c] leads from c to c + 1
        even = ((steps == 0) | (steps == 1)).all(axis=1)
        change = ~even
        change[1:] |= (steps[1:] != steps[:-1]).any(axis=1)
        begins = [0]
        for place in np.flatnonzero(change):
            # A stretch of one character takes any even step to the next and becomes a stretch of that step.
            if not (even[place] and begins[-1] == place):
                begins.append(int(place) + 1)
        self.begins = np.array(begins, np.int32)
        last = np.append(self.begins[1:], len(rows)) - 1
        long = last > self.begins
        self.step = np.zeros((len(begins), rows.shape[1]), bool)
        self.step[long] = steps[self.begins[long]] == 1
        self.first = (rows[self.begins] - self.step * self.begins[:, None]).astype(np.int32)

    def __getitem__(self, characters: np.ndarray) -> np.ndarray:
        """The rows, int32 [N, C], of characters [N]."""
        at = np.searchsorted(self.begins, characters, side="right") - 1
        return self.first[at] + self.step[at] * np.asarray(characters, np.int32)[:, None]


@cache
def bert_characters(lowercase: bool, strip_accents: bool, cjk: bool) -> Ranges:
    """What BERT's normalizer makes of a character, and how BERT's pre-tokenizer cuts there.

    Returns:
        Columns: the characters that it becomes, `NONE` behind the last (all `NONE`: it goes); then `IN_WORD`, `BLANK`
        or `ALONE`.
    """
    normalizer = normalizers.BertNormalizer(True, cjk, strip_accents, lowercase)
    made = {}
    for first, block in _blocks():
        for place, text in enumerate(normalizer.normalize_str(MARK.join(block)).split(MARK)):
            if text != block[place]:
                made[first + place] = text
    made[ord(MARK)] = MARK
    cuts = _cuts()
    width = max(len(text.strip(" ")) for text in made.values())
    rows = np.full((CHARACTERS, width + 1), NONE, np.int32)
    rows[:, 0] = np.arange(CHARACTERS)
    rows[:, -1] = cuts
    for character, text in made.items():
        letters = list(map(ord, text.strip(" ") or text[:1]))  # blanks stand around a Chinese character
        rows[character, :-1] = NONE
        rows[character, : len(letters)] = letters
        cut = ALONE if text.strip(" ") != text.rstrip(" ") else max((int(cuts[each]) for each in letters), default=0)
        rows[character, -1] = cut
    return Ranges(rows)


@cache
def pattern_classes() -> Ranges:
    r"""`LETTER`, `NUMBER` and `SPACE` as the library reads \p{L}, \p{N} and \s; `OTHER` is the rest; one column."""
    rows = np.full((CHARACTERS, 1), OTHER, np.int32)
    for kind, pattern in ((LETTER, r"\p{L}"), (NUMBER, r"\p{N}"), (SPACE, r"\s")):
        mark = normalizers.Replace(Regex(pattern), MARK)
        for first, block in _blocks():
            found = np.array([each == MARK for each in mark.normalize_str("".join(block))])
            rows[first : first + BLOCK][found, 0] = kind
    rows[ord(MARK)] = OTHER
    return Ranges(rows)


@cache
def _cuts() -> np.ndarray:
    """`IN_WORD`, `BLANK` or `ALONE` of every character, uint8 [N], by the pieces in which "a" and it come back."""
    cuts = np.full(CHARACTERS, IN_WORD, np.uint8)
    cutter = pre_tokenizers.BertPreTokenizer()
    for first, block in _blocks():
        found = np.full(len(block), BLANK, np.uint8)
        for _, (start, end) in cutter.pre_tokenize_str(" ".join("a" + each for each in block)):
            if start % 3:
                found[start // 3] = ALONE
            elif end - start == 2:
                found[start // 3] = IN_WORD
        cuts[first : first + BLOCK] = found
    cuts[ord(MARK)] = ALONE
    return cuts


def _blocks() -> Iterator[tuple[int, list[str]]]:
    """Characters in order, with the number of the first; "x" for surrogates, and for the mark between them."""
    for plane in INHABITED:
        for first in range(plane << 16, (plane + 1) << 16, BLOCK):
            block = list(range(first, first + BLOCK))
            yield first, ["x" if 0xD800 <= each < 0xE000 or each == ord(MARK) else chr(each) for each in block]
