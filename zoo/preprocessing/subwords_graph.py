"""Subwords inside a SavedModel: what the graph faces of WordPiece and byte pairs share.

Stock TensorFlow and TensorFlow Text ops; the vocabulary is a constant of the graph, no asset file is written, and no
table grows. A text is cut into segments first: each special piece that it spells out, and what stands between them;
no word reaches from one segment into the next. Ids and offsets are those of the host face.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import asdict
from typing import NamedTuple

import tensorflow as tf
import tensorflow_text

from zoo.preprocessing.characters import Ranges
from zoo.preprocessing.subwords import Subwords

REPLACEMENT = 0xFFFD
BLANKS = r"[\t-\r\x{85}\p{Z}]*"  # Unicode's White_Space, as RE2 writes it
# What regex_split takes for the end of a text is written as two characters, and so is the first of the two.
HIDDEN = (("\x01", "\x01\x02"), ("\x00", "\x01\x03"))
PLACEHOLDER = "x"  # stands for a special piece while the others are cut; a word and a piece for itself


class Pieces(NamedTuple):
    """The pieces of all segments in order, int32 [P] each: the id, the segment, start and end in it in characters."""

    ids: tf.Tensor
    segments: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


class Table:
    """`Ranges` as constants of a graph."""

    def __init__(self, ranges: Ranges) -> None:
        self._begins = tf.constant(ranges.begins)
        self._first = tf.constant(ranges.first)
        self._step = tf.constant(ranges.step)

    def __call__(self, characters: tf.Tensor) -> tf.Tensor:
        """The rows, int32 [N, C], of characters int32 [N]."""
        at = tf.searchsorted(self._begins, characters, side="right") - 1
        return tf.gather(self._first, at) + tf.cast(tf.gather(self._step, at), tf.int32) * characters[:, None]


class GraphSubwords(tf.Module):
    """One vocabulary as graph operations. Every function takes a batch, which may be empty, and never fails.

    Attributes:
        pad_id, unknown_id, start_id, end_id, mask_id: those of the host face.

    Args:
        subwords: the host face.
        eager: special pieces that swallow the blanks before them.
    """

    def __init__(self, subwords: Subwords, eager: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.pad_id, self.unknown_id = subwords.pad_id, subwords.unknown_id
        self.start_id, self.end_id, self.mask_id = subwords.start_id, subwords.end_id, subwords.mask_id
        self._pair_ends, self._pair_segment = subwords.pair_ends, subwords.pair_segment
        named = asdict(subwords.special)
        special = {piece: getattr(subwords, f"{name}_id") for name, piece in named.items()}
        longest_first = sorted(special, key=len, reverse=True)
        self._pattern = "|".join(BLANKS * (piece in eager) + re.escape(piece) for piece in longest_first)
        self._special = tf.constant(list(special))
        self._special_ids = tf.constant(list(special.values()))
        self._bare = bool(eager)

    @abstractmethod
    def _cut(self, segments: tf.Tensor, rows: tf.Tensor, most: int | None) -> Pieces:
        """The pieces of segments without special ones.

        Args:
            segments: string [G], valid UTF-8.
            rows: int32 [G], the text that each belongs to, rising.
            most: words of a text that are looked at; None: all.
        """

    def tokenize(
        self, texts: tf.Tensor, most: int | None = None
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Turns any byte strings into pieces.

        Time and memory grow no faster than the texts, since no word is longer than the vocabulary's `LONGEST_WORD`.

        Args:
            texts: string [B]; what is no UTF-8 counts as U+FFFD.
            most: how many pieces of a text are of use; words behind the first so many are not made into pieces, so
                there may be more pieces and, where the text has them, never fewer. None: all are.

        Returns:
            ids, starts, ends: int32 [B, None], ragged alike; starts and ends are in characters of the text.
        """
        return self._tokenize(texts, most)

    def pack(
        self, a: tf.Tensor, b: tf.Tensor | None = None, most: int = 128
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Turns texts, or pairs of texts, into what the encoder takes; see `Subwords.pack`.

        Args:
            a: string [B], the texts.
            b: string [B], the second texts of pairs.
            most: the most ids of a row; what stands behind so many words of a text is not looked at.

        Returns:
            ids: int32 [B, T], padded; T is that of the longest row.
            mask: bool [B, T], True where an id is real.
            segments: int32 [B, T].
            cut: bool [B], True where pieces were left out.
        """
        # Both sides go through one set of operations, which is half the graph.
        pieces = self._tokenize(a if b is None else tf.concat([a, b], axis=0), most)[0]
        count = tf.size(a)
        first, lengths = pieces[:count], _lengths(pieces)
        room = most - (2 if b is None else 2 + self._pair_ends)
        second_lengths = tf.zeros_like(lengths) if b is None else lengths[count:]
        keep, keep_second = _kept(lengths[:count], second_lengths, room)
        start, end = tf.fill([count, 1], self.start_id), tf.fill([count, 1], self.end_id)
        parts = [start, _shortened(first, keep), end]
        cut = (keep < lengths[:count]) | (keep_second < second_lengths)
        if b is not None:
            parts += [end] * (self._pair_ends - 1) + [_shortened(pieces[count:], keep_second), end]
        rows = tf.concat(parts, axis=1)
        width = tf.maximum(tf.reduce_max(_lengths(rows)), 1)  # an empty batch has no longest row
        mask = tf.sequence_mask(_lengths(rows), width)
        behind = (tf.range(width) >= keep[:, None] + 2) & mask
        ids = rows.to_tensor(self.pad_id, shape=tf.stack([-1, width]))
        return ids, mask, tf.cast(behind, tf.int32) * self._pair_segment, cut

    def _tokenize(self, texts: tf.Tensor, most: int | None) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace", replacement_char=REPLACEMENT)
        shown = texts
        for character, pair in HIDDEN:
            shown = _replaced(shown, character, pair)
        parts, _, _ = tensorflow_text.regex_split_with_offsets(shown, self._pattern, self._pattern)
        rows, segments = rows_of(parts), parts.values
        for character, pair in reversed(HIDDEN):
            segments = _replaced(segments, pair, character)
        # A special piece that swallowed blanks is where its letters are.
        bare = tf.strings.regex_replace(segments, f"^{BLANKS}", "") if self._bare else segments
        special = tf.reduce_max(tf.where(bare[:, None] == self._special, self._special_ids, -1), axis=1)
        lengths, letters = (tf.strings.length(each, unit="UTF8_CHAR") for each in (segments, bare))
        before = tf.cumsum(lengths, exclusive=True)
        before -= tf.gather(before, tf.gather(tf.cast(parts.row_starts(), tf.int32), rows))
        pieces = self._cut(tf.where(special < 0, segments, PLACEHOLDER), rows, most)
        special, lengths, letters, before = (
            tf.gather(each, pieces.segments) for each in (special, lengths, letters, before)
        )
        ids = tf.where(special < 0, pieces.ids, special)
        starts = tf.where(special < 0, pieces.starts, lengths - letters)
        ends = tf.where(special < 0, pieces.ends, lengths)
        of = tf.RaggedTensor.from_value_rowids(
            ids, tf.gather(rows, pieces.segments), tf.size(texts, tf.int32), validate=False
        )
        return of, of.with_values(before + starts), of.with_values(before + ends)


def beside(values: tf.Tensor) -> tf.Tensor:
    """The value before each of values bool [N]; False for the first."""
    return tf.concat([tf.zeros(tf.minimum(tf.shape(values), 1), tf.bool), values[:-1]], axis=0)


def changes(values: tf.Tensor) -> tf.Tensor:
    """Where values [N] differ from the one before, the first one included; bool [N]."""
    return tf.concat([tf.ones(tf.minimum(tf.shape(values), 1), tf.bool), values[1:] != values[:-1]], axis=0)


def numbered(starts: tf.Tensor) -> tf.Tensor:
    """The number of the run that each place belongs to, from 0 on, where starts bool [N] begin one; int32 [N]."""
    return tf.cumsum(tf.cast(starts, tf.int32)) - 1


def rows_of(ragged: tf.RaggedTensor) -> tf.Tensor:
    """The row of each value, int32 [N]; `value_rowids()` takes rows times the longest of them in memory."""
    places = tf.range(tf.size(ragged.values, tf.int64))
    return tf.searchsorted(tf.cast(ragged.row_splits, tf.int64), places, side="right") - 1


def first_words(starts: tf.Tensor, rows: tf.Tensor, most: int) -> tf.Tensor:
    """Whether characters [N] are in one of the first `most` words of their row [N], where starts begin words."""
    before = tf.cumsum(tf.cast(starts, tf.int32), exclusive=True)  # a row may begin with what is in no word
    return numbered(starts) - tf.gather(tf.math.segment_min(before, rows), rows) < most


def _replaced(texts: tf.Tensor, what: str, by: str) -> tf.Tensor:
    return tf.strings.regex_replace(texts, "".join(rf"\x{ord(each):02x}" for each in what), by)


def _lengths(ragged: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ragged.row_lengths(), tf.int32)


def _kept(first: tf.Tensor, second: tf.Tensor, room: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`zoo.preprocessing.subwords.kept` for int32 [B]."""
    fits = first + second <= room
    first, second = tf.minimum(first, room + 1), tf.minimum(second, room + 1)
    shorter = tf.minimum(tf.minimum(first, second), room // 2)
    longer = room - shorter
    cut_first, cut_second = tf.where(first > second, longer, shorter), tf.where(first > second, shorter, longer)
    return tf.where(fits, first, cut_first), tf.where(fits, second, cut_second)


def _shortened(ragged: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """The first `lengths` int32 [B] values of each row."""
    rows = rows_of(ragged)
    places = tf.range(tf.size(ragged.values)) - tf.gather(tf.cast(ragged.row_starts(), tf.int32), rows)
    values = tf.boolean_mask(ragged.values, places < tf.gather(lengths, rows))
    return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
