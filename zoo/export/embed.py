"""The graph of an embedder: signatures serving_default, a vector for each text, and similarity of pairs."""

from __future__ import annotations

import tensorflow as tf

from zoo.export.bundle import Bundle, Exported
from zoo.export.text_encoder import TextEncoderModule, limits_of, over_texts, reference_model, weights_of
from zoo.tasks.embed import Embed

__all__ = ["build", "weights_of"]


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task embed.

    Raises: UserError where the model is no Bert, or Keras is not on TensorFlow.
    """
    task = bundle.task
    assert isinstance(task, Embed)
    module, model = TextEncoderModule(bundle, storage), reference_model(bundle, storage)

    def vectors(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Vectors of length 1, float32 [B, D], and cut bool [B]."""
        packed = module.pack(text)
        found, _ = module.model.pooled(*packed.inputs)
        return tf.math.l2_normalize(found, axis=1, epsilon=1e-24), packed.cut

    shared = over_texts(["text"], vectors)

    def embedding(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": shared(text)[0]}

    def similarity(text_a: tf.Tensor, text_b: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.size(text_a)
        found, cut = shared(tf.concat([text_a, text_b], axis=0))
        a, b, cut_a, cut_b = found[:rows], found[rows:], cut[:rows], cut[rows:]
        return {"score": tf.reduce_sum(a * b, axis=1), "truncated": tf.logical_or(cut_a, cut_b)}

    return Exported(
        module=module,
        functions={
            "serving_default": over_texts(["text"], embedding),
            "similarity": over_texts(["text_a", "text_b"], similarity),
        },
        settled={"serving_default": {}, "similarity": {}},
        limits=limits_of(bundle),
        reference=lambda raws: {"score": task.predict(model, raws)},
    )
