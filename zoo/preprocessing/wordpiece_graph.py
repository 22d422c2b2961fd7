"""WordPiece inside a SavedModel: the graph face of `zoo.preprocessing.wordpiece`, which says what happens to a text.

TensorFlow Text's own BERT tokenizers fold compatibility forms (ß, ligatures, dots) and know other characters than the
tokenizers library. So characters are normalised and cut by tables that the library filled, each with the place that it
came from, and only the words go to TensorFlow Text.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text

from zoo.preprocessing.characters import BLANK, IN_WORD, bert_characters
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
from zoo.preprocessing.wordpiece import CONTINUED, LONGEST_WORD, WordPiece

UTF8_BYTES = 4  # the most that a character has
# No word has it and no piece begins with it, since the normalizer lets none through.
NO_WORD = "\0"


class _Places(tf.lookup.KeyValueTensorInitializer):
    """The place of each piece as its id, counted when a graph is loaded: stored they would take 8 bytes each."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = tf.constant(list(pieces))
        super().__init__(self.pieces, tf.range(len(pieces), dtype=tf.int64))

    def initialize(self, table: tf.lookup.StaticHashTable) -> tf.Operation:
        """Fills the table."""
        ids = tf.range(self.pieces.shape[0], dtype=tf.int64)
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=self.pieces, values=ids)


class GraphWordPiece(GraphSubwords):
    """One vocabulary as graph operations; see `GraphSubwords`.

    Beside the pieces of the vocabulary its tables weigh 90 KB with accents stripped, less without.

    Args:
        subwords: the host face.
        pieces: the piece of every id.
    """

    def __init__(self, subwords: WordPiece, pieces: Sequence[str]) -> None:
        super().__init__(subwords)
        self._characters = Table(bert_characters(subwords.lowercase, subwords.strip_accents, subwords.cjk))
        self._vocabulary = tf.lookup.StaticHashTable(_Places(pieces), default_value=subwords.unknown_id)
        self._longest_match = tensorflow_text.WordpieceTokenizer(
            self._vocabulary,
            suffix_indicator=CONTINUED,
            max_bytes_per_word=UTF8_BYTES * LONGEST_WORD,
            token_out_type=tf.int64,
            unknown_token=subwords.special.unknown,
        )

    def _cut(self, segments: tf.Tensor, rows: tf.Tensor, most: int | None) -> Pieces:
        characters, places, owners, words = self._words(segments, rows, most)
        of_word = tf.RaggedTensor.from_value_rowids(characters, words, _count(words), validate=False)
        lengths, first = of_word.row_lengths(), of_word.row_starts()
        texts = tf.strings.unicode_encode(of_word, "UTF-8")
        texts = tf.where(lengths > LONGEST_WORD, NO_WORD, texts)
        ids, starts, ends = self._longest_match.tokenize_with_offsets(texts)
        word = rows_of(ids)
        # An unknown piece is its whole word; the others are where their bytes are.
        unknown = ids.values == self.unknown_id
        first_of, last_of = tf.gather(first, word), tf.gather(first + lengths, word) - 1
        character_of, byte_of = _bytes(characters)
        byte = tf.gather(byte_of, first_of)
        start = tf.gather(character_of, tf.where(unknown, byte, byte + tf.cast(starts.values, tf.int32)))
        end = tf.gather(character_of, tf.where(unknown, byte, byte + tf.cast(ends.values, tf.int32) - 1))
        start, end = tf.where(unknown, first_of, start), tf.where(unknown, last_of, end)
        return Pieces(
            tf.cast(ids.values, tf.int32),
            tf.gather(owners, start),
            tf.gather(places, start),
            tf.gather(places, end) + 1,
        )

    def _words(
        self, segments: tf.Tensor, rows: tf.Tensor, most: int | None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """What the normalizer leaves, without blanks.

        Returns:
            characters; the place of each in its segment, before anything was done to it; its segment; its word: all
            int32 [N].
        """
        given = tf.strings.unicode_decode(segments, "UTF-8")
        owners = rows_of(given)
        places = tf.range(tf.size(given.values)) - tf.gather(tf.cast(given.row_starts(), tf.int32), owners)
        made = self._characters(given.values)
        at = tf.where(made[:, :-1] >= 0)
        characters = tf.gather_nd(made, at)
        source = at[:, 0]
        owners, places, cuts = (tf.gather(each, source) for each in (owners, places, made[:, -1]))
        starts = (cuts != BLANK) & ((cuts != IN_WORD) | ~beside(cuts == IN_WORD) | changes(owners))
        seen = cuts != BLANK
        if most is not None:
            seen &= first_words(starts, tf.gather(rows, owners), most)
        seen = tf.where(seen)[:, 0]
        characters, places, owners, starts = (tf.gather(each, seen) for each in (characters, places, owners, starts))
        return characters, places, owners, numbered(starts)


def _count(numbers: tf.Tensor) -> tf.Tensor:
    """How many runs were numbered."""
    return tf.reduce_max(tf.concat([[-1], numbers], axis=0)) + 1


def _bytes(characters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Of the UTF-8 bytes of characters int32 [N]: the character of each byte, and the first byte of each; int32."""
    lengths = 1 + sum(tf.cast(characters >= first, tf.int32) for first in (0x80, 0x800, 0x10000))
    return tf.repeat(tf.range(tf.size(characters)), lengths), tf.cumsum(lengths, exclusive=True)
