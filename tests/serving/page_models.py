"""Small SavedModels whose answers the playground draws: text with attention, boxes, words in time."""

from pathlib import Path
from typing import Any

from tests.serving.small_models import add_warmup

WORDS = {"a": "ein", "dog": "Hund", "runs": "rennt", "sleeps": "schläft"}


def save_translator(home: Path) -> None:
    """Writes a translator, word by word; what it does not know it leaves as it is. Word i looks at word i alone."""
    import tensorflow as tf

    class Translator(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            keys = tf.constant(list(WORDS))
            values = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(list(WORDS.values())))
            self.words = tf.lookup.StaticHashTable(values, "")

        def pieces(self, text: Any) -> tuple[Any, Any]:
            source = tf.strings.split(text).to_tensor()
            known = self.words.lookup(source)
            return source, tf.where(known == "", source, known)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def best(self, text: Any) -> dict[str, Any]:
            _, target = self.pieces(text)
            score = tf.fill([tf.shape(text)[0]], -0.25)
            return {
                "text": tf.strings.reduce_join(target, axis=1, separator=" "),
                "score": score,
                "truncated": score > 0,
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def attention(self, text: Any) -> dict[str, Any]:
            source, target = self.pieces(text)
            count = tf.fill([tf.shape(text)[0]], tf.shape(source)[1])
            weights = tf.eye(tf.shape(source)[1], batch_shape=[tf.shape(text)[0]])
            return {
                "source_pieces": source,
                "source_count": count,
                "target_pieces": target,
                "target_count": count,
                "weights": weights,
            }

    module = Translator()
    signatures = {"serving_default": module.best, "attention": module.attention}
    tf.saved_model.save(module, str(home / "1"), signatures=signatures)
    extra = home / "1" / "assets.extra"
    extra.mkdir()
    (extra / "README.md").write_text("# small\n\nWord by **word**.\n\n| score | value |\n|---|---|\n| BLEU | 12.5 |\n")
    add_warmup(home / "1", [b"a dog runs"])
    (extra / "signatures.json").write_text('{"signatures": {"serving_default": {"about": "the best translation"}}}')


def save_senses(home: Path) -> None:
    """Writes a version that finds the same two boxes in any picture (the third row is padding), the same two words in
    any sound, and adds numbers."""
    import tensorflow as tf

    def rows(like: Any, values: Any) -> Any:
        return tf.tile(tf.constant([values]), [tf.shape(like)[0]] + [1] * tf.constant(values).shape.rank)

    class Senses(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def detect(self, image_bytes: Any) -> dict[str, Any]:
            boxes = rows(image_bytes, [[2.0, 3.0, 10.0, 20.0], [5.0, 1.0, 9.0, 30.0], [0.0, 0.0, 0.0, 0.0]])
            return {
                "boxes": boxes,
                "labels": rows(image_bytes, ["cat", "dog", ""]),
                "scores": rows(image_bytes, [0.9, 0.5, 0.0]),
                "count": rows(image_bytes, 2),
                "ok": tf.strings.length(image_bytes) > 0,
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="audio_bytes")])
        def words(self, audio_bytes: Any) -> dict[str, Any]:
            return {
                "words": rows(audio_bytes, ["hello", "world", ""]),
                "starts": rows(audio_bytes, [0.1, 0.5, 0.0]),
                "ends": rows(audio_bytes, [0.4, 0.9, 0.0]),
                "count": rows(audio_bytes, 2),
            }

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.float32, name="x"),
                tf.TensorSpec([None, None], tf.int32, name="many"),
                tf.TensorSpec([None], tf.bool, name="negative"),
            ]
        )
        def add(self, x: Any, many: Any, negative: Any) -> dict[str, Any]:
            total = x + tf.cast(tf.reduce_sum(many, 1), tf.float32)
            return {"total": tf.where(negative, -total, total), "logarithm": tf.math.log(x)}

    module = Senses()
    signatures = {"serving_default": module.detect, "words": module.words, "add": module.add}
    tf.saved_model.save(module, str(home / "1"), signatures=signatures)
