"""Text to ids and back by SentencePiece: the graph face, inside a SavedModel.

Stock TensorFlow and TensorFlow Text ops; the vocabulary is a constant of the graph, so no asset file is written. It
gives the ids and texts of `zoo.preprocessing.sentencepiece`, which says what happens to a text. One difference is
left: lowercasing knows the letters of the Unicode that TensorFlow was built with (13), the host those of its Python.
"""

import tensorflow as tf
import tensorflow_text

from zoo.preprocessing.sentencepiece import CHARACTERS_A_PIECE, END_ID, PAD_ID, UNKNOWN_ID

REPLACEMENT = 0xFFFD


class GraphSentencePiece(tf.Module):
    """One learned vocabulary as graph operations. Every function takes a batch, which may be empty.

    Outside a SavedModel the vocabulary lives in a kernel that TensorFlow drops when it is seeded (`tf.random.set_seed`,
    `keras.utils.set_random_seed`: "Resource … does not exist"): so seed first. A loaded SavedModel keeps it.

    Args:
        model: a serialized SentencePiece model, as `SentencePiece.model` holds it.
        lowercase: whether texts are lowercased first.
    """

    def __init__(self, model: bytes, lowercase: bool) -> None:
        super().__init__()
        self.lowercase = lowercase
        self.tokenizer = tensorflow_text.SentencepieceTokenizer(model, out_type=tf.int32)

    def encode(self, texts: tf.Tensor, max_length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Turns any byte strings into ids; never fails.

        Args:
            texts: string [B], of any length; characters past `CHARACTERS_A_PIECE` * `max_length` are not looked at.
            max_length: the most ids of a row, end counted in.

        Returns:
            ids: int32 [B, S], every row ended by 3 and padded by 0; S is that of the longest row.
            mask: bool [B, S], True where an id is real.
            truncated: bool [B], True where the text was cut.
        """
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace", replacement_char=REPLACEMENT)
        texts = tf.strings.regex_replace(texts, r"\x00", "")
        seen = tf.strings.substr(texts, 0, CHARACTERS_A_PIECE * max_length, unit="UTF8_CHAR")
        pieces = self.tokenizer.tokenize(self._cased(seen))
        truncated = (tf.strings.length(seen) < tf.strings.length(texts)) | (pieces.row_lengths() >= max_length)
        ends = tf.fill([tf.shape(texts)[0], 1], END_ID)
        rows = tf.concat([pieces[:, : max_length - 1], ends], axis=1)
        lengths = rows.row_lengths()
        width = tf.maximum(tf.reduce_max(lengths), 1)  # an empty batch has no longest row
        return rows.to_tensor(PAD_ID, shape=tf.stack([-1, width])), tf.sequence_mask(lengths, width), truncated

    def decode(self, ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Turns ids int32 [B, T], of which the first `lengths` int32 [B] count, into texts, string [B]."""
        rows = tf.RaggedTensor.from_tensor(self._possible(ids), lengths=tf.minimum(lengths, tf.shape(ids)[1]))
        return self.tokenizer.detokenize(rows)

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the piece of every id, int32 [B, T] to string [B, T]."""
        return self.tokenizer.id_to_string(self._possible(ids))

    def _cased(self, texts: tf.Tensor) -> tf.Tensor:
        return tf.strings.lower(texts, encoding="utf-8") if self.lowercase else texts

    def _possible(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.where((ids >= 0) & (ids < self.tokenizer.vocab_size()), ids, UNKNOWN_ID)
