"""The graph that fills a mask: signature serving_default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.export.bundle import Bundle, Exported
from zoo.export.graph_parts import HIDDEN
from zoo.export.text_encoder import TextEncoderModule, limits_of, over_texts, reference_model, weights_of
from zoo.tasks.fill_mask import FillMask

__all__ = ["build", "weights_of"]


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task fill_mask.

    Raises: UserError where the model is no Bert, or Keras is not on TensorFlow.
    """
    task, several = bundle.task, bundle.recipe.decoding.n_best
    assert isinstance(task, FillMask)
    module, model = TextEncoderModule(bundle, storage), reference_model(bundle, storage)
    fillings = tf.constant(task.fillings)  # what each piece is in a text
    never = tf.constant(np.where(task.special, HIDDEN, 0.0).astype("float32"))

    def fill(text: tf.Tensor) -> dict[str, tf.Tensor]:
        # Bytes that are no text would come back in an answer, where nobody can write them as JSON.
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        packed = module.pack(text)
        masks = tf.equal(packed.ids, task.subwords.mask_id) & packed.mask
        place = tf.argmax(tf.cast(masks, tf.int32), axis=1, output_type=tf.int32)  # the first one; 0 without any
        logits = module.model.words(*packed.inputs, places=place)[:, : task.subwords.size]
        scores, best = tf.math.top_k(tf.nn.softmax(logits + never), k=several)
        before, after = _around(text, task.mask)
        before, after = (tf.repeat(part[:, None], several, axis=1) for part in (before, after))
        texts = tf.strings.join([before, tf.gather(fillings, best), after])
        # A text without a mask comes back as it is, once.
        there, first = tf.reduce_any(masks, axis=1)[:, None], tf.range(several) == 0
        alone = tf.where(first, text[:, None], "")
        return {"texts": tf.where(there, texts, alone), "scores": tf.where(there, scores, tf.cast(first, tf.float32))}

    return Exported(
        module=module,
        functions={"serving_default": over_texts(task.inputs(), fill)},
        settled={"serving_default": asdict(bundle.recipe.decoding)},
        limits=limits_of(bundle),
        reference=_Reference(task, model),
        close=frozenset({"texts"}),  # of pieces that are as likely
    )


def _around(text: tf.Tensor, mask: str) -> tuple[tf.Tensor, tf.Tensor]:
    """What stands before and behind the first mask of each text; all and nothing where there is none. string [B]."""
    parts = tf.strings.split(text, sep=mask, maxsplit=1).to_tensor("", shape=[None, 2])
    return parts[:, 0], parts[:, 1]


class _Reference:
    """The model itself, asked through the host faces."""

    def __init__(self, task: FillMask, model: Any) -> None:
        self.task, self.model = task, model

    def __call__(self, raws: Sequence[str]) -> dict[str, list[Any]]:
        texts, scores = zip(*self.task.predict_n_best(self.model, raws), strict=True)
        return {"texts": list(texts), "scores": list(scores)}
