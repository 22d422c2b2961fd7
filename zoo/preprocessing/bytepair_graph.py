"""Byte pairs inside a SavedModel: the graph face of `zoo.preprocessing.bytepair`, which says what happens to a text.

The merges run in the graph: a loop over the pieces of all words at once, in which every word merges the earliest
learned of its pairs, wherever it stands, until no word has any. What is looked up is fixed, so nothing grows with
traffic. A turn costs as much as the batch has pieces left; there are as many turns as the word with the most different
merges needs: about ten in written language, and never more than `LONGEST_WORD`, since every turn shortens every word
that is not done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from zoo.preprocessing.bytepair import LONGEST_WORD, BytePair, byte_letters
from zoo.preprocessing.characters import OTHER, SPACE, pattern_classes
from zoo.preprocessing.subwords_graph import (
    GraphSubwords,
    Pieces,
    Table,
    beside,
    changes,
    first_words,
    numbered,
    rows_of,
)

SHORT, LONG = "stmd", (("r", "e"), ("v", "e"), ("l", "l"))  # what follows the apostrophe of a contraction
BLANK = byte_letters()[0x20]


class GraphBytePair(GraphSubwords):
    """One vocabulary as graph operations; see `GraphSubwords`. It weighs 16 bytes a merge, 2 a piece, and 15 KB.

    Args:
        subwords: the host face.
        vocabulary: the id of every piece.
        merges: the pairs that become one piece, the earliest learned first.
    """

    def __init__(self, subwords: BytePair, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
        super().__init__(subwords, frozenset([subwords.special.mask] if subwords.mask_takes_blanks else []))
        self._size, self._known = len(vocabulary), len(merges)
        self._classes = Table(pattern_classes())
        self._bytes = tf.constant([vocabulary[letter] for letter in byte_letters()])
        pairs = np.array([vocabulary[left] * self._size + vocabulary[right] for left, right in merges], np.int64)
        ranks = tf.lookup.KeyValueTensorInitializer(tf.constant(pairs), tf.range(self._known))
        self._ranks = tf.lookup.StaticHashTable(ranks, default_value=self._known)
        made = [vocabulary[left + right] for left, right in merges]
        self._made = tf.constant([*made, 0])  # the last is what no pair becomes
        pieces = sorted(vocabulary, key=vocabulary.__getitem__)
        self._blanks_before = _counts([len(piece) - len(piece.lstrip(BLANK)) for piece in pieces])
        self._blanks_behind = _counts([len(piece) - len(piece.rstrip(BLANK)) for piece in pieces])

    def _cut(self, segments: tf.Tensor, rows: tf.Tensor, most: int | None) -> Pieces:
        given = tf.strings.unicode_decode(segments, "UTF-8")
        characters, owners = given.values, rows_of(given)
        places = tf.range(tf.size(characters)) - tf.gather(tf.cast(given.row_starts(), tf.int32), owners)
        starts = _word_starts(characters, self._classes(characters)[:, 0], changes(owners))
        lengths = 1 + sum(tf.cast(characters >= first, tf.int32) for first in (0x80, 0x800, 0x10000))
        character = tf.repeat(tf.range(tf.size(characters)), lengths)  # of each byte
        bytes_ = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(segments), tf.uint8), tf.int32)
        begins = _cut_long(tf.gather(numbered(starts), character))
        if most is not None:
            seen = first_words(begins, tf.gather(rows, tf.gather(owners, character)), most)
            character, bytes_, begins = (tf.boolean_mask(each, seen) for each in (character, bytes_, begins))
        ids, at = self._merged(tf.gather(self._bytes, bytes_), numbered(begins))
        behind = tf.concat([at[1:], tf.fill(tf.minimum(tf.shape(at), 1), tf.size(bytes_))], axis=0)
        first, last = tf.gather(character, at), tf.gather(character, behind - 1)
        start, end = tf.gather(places, first), tf.gather(places, last) + 1
        start = tf.minimum(start + tf.cast(tf.gather(self._blanks_before, ids), tf.int32), end)
        end = tf.maximum(end - tf.cast(tf.gather(self._blanks_behind, ids), tf.int32), start)
        return Pieces(ids, tf.gather(owners, first), start, end)

    def _merged(self, pieces: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What becomes of the bytes.

        Args:
            pieces: int32 [N], a piece for each byte.
            words: int32 [N], the word of each, rising.

        Returns:
            ids: int32 [P].
            at: int32 [P], the first byte of each piece.
        """

        def turn(
            pieces: tf.Tensor, words: tf.Tensor, at: tf.Tensor, _: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            pairs = tf.cast(pieces[:-1], tf.int64) * self._size + tf.cast(pieces[1:], tf.int64)
            of = words[:-1]
            ranks = tf.where(of == words[1:], self._ranks.lookup(pairs), self._known)
            best = tf.gather(tf.math.segment_min(ranks, of), of)
            picked = _every_other((ranks == best) & (ranks < self._known))
            made = tf.where(picked, tf.gather(self._made, ranks), pieces[:-1])
            left = tf.where(tf.concat([[True], ~picked], axis=0))[:, 0]
            pieces = tf.concat([made, pieces[-1:]], axis=0)
            return *(tf.gather(each, left) for each in (pieces, words, at)), tf.reduce_any(picked)

        state = (pieces, words, tf.range(tf.size(pieces)), tf.size(pieces) > 1)
        shapes = (*[tf.TensorShape([None])] * 3, tf.TensorShape([]))
        pieces, _, at, _ = tf.while_loop(lambda *state: state[-1], turn, state, shapes, maximum_iterations=LONGEST_WORD)
        return pieces, at


def _cut_long(words: tf.Tensor) -> tf.Tensor:
    """Where words begin once none has more than `LONGEST_WORD` bytes, of the word of each byte int32 [N]; bool [N]."""
    place = tf.range(tf.size(words))
    return (place - tf.gather(tf.math.segment_min(place, words), words)) % LONGEST_WORD == 0


def _word_starts(characters: tf.Tensor, classes: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    r"""Where a match of GPT-2's pattern begins; the pattern, whose parts are tried in this order, is

        's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

    Args:
        characters: int32 [N].
        classes: int32 [N], `LETTER`, `NUMBER`, `SPACE` or `OTHER`.
        first: bool [N], where a segment begins.

    Returns:
        bool [N].
    """
    space = classes == SPACE
    before = tf.concat([classes[:1], classes[:-1]], axis=0)
    behind_blank = beside(characters == ord(" ")) & ~first
    # Blanks go together, but the last before a word stands alone or, where it is a plain one, begins the word.
    last_blank = space & _next(~space & ~first, False)
    start = first | tf.where(space, (before != SPACE) | last_blank, ~behind_blank & (before != classes))
    # A contraction begins where no other match has reached the apostrophe.
    free = (characters == ord("'")) & (first | (~behind_blank & (before != OTHER)))
    second = _next(tf.where(first, 0, characters), 0)
    third = _next(tf.where(first, 0, second), 0)
    short = free & tf.reduce_any([second == ord(letter) for letter in SHORT], axis=0)
    long = free & tf.reduce_any([(second == ord(a)) & (third == ord(b)) for a, b in LONG], axis=0)
    ended = beside(beside(short | beside(long)))
    return start & ~beside(short | long) | ended


def _next(values: tf.Tensor, last: int | bool) -> tf.Tensor:
    """The value behind each of values [N]; `last` for the last."""
    return tf.concat([values[1:], tf.fill(tf.minimum(tf.shape(values), 1), last)], axis=0)


def _every_other(picked: tf.Tensor) -> tf.Tensor:
    """The first, third and so on of every run of True in bool [N]: of "aaa" the pairs at both places share an a."""
    begins = picked & ~beside(picked)
    count = tf.cumsum(tf.cast(picked, tf.int32))
    before = tf.concat([[0], tf.boolean_mask(count, begins)], axis=0)
    return picked & ((count - tf.gather(before, tf.cumsum(tf.cast(begins, tf.int32)))) % 2 == 0)


def _counts(values: list[int]) -> tf.Tensor:
    return tf.constant(np.minimum(values, 255), tf.uint8)
