"""The graph of a classifier of texts or pairs: signatures serving_default and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.export.bundle import Bundle, Exported
from zoo.export.text_encoder import TextEncoderModule, limits_of, over_texts, reference_model, weights_of
from zoo.tasks.classify_text import ClassifyText

__all__ = ["build", "weights_of"]


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task classify_text.

    Raises: UserError where the model is no Bert, or Keras is not on TensorFlow.
    """
    task = bundle.task
    assert isinstance(task, ClassifyText)
    module, names = TextEncoderModule(bundle, storage), task.inputs()
    labels, choices = tf.constant(task.labels.names), bundle.recipe.decoding

    def odds(*texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Probabilities float32 [B, C], and cut bool [B]."""
        packed = module.pack(*texts)
        logits = module.model.logits(*packed.inputs)
        return tf.sigmoid(logits) if task.multi_label else tf.nn.softmax(logits), packed.cut

    shared = over_texts(names, odds)  # so that the saved graph holds it once

    def one(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        shares, cut = shared(*texts)
        highest = tf.reduce_max(shares, axis=1)
        label = tf.gather(labels, tf.argmax(shares, axis=1))
        if choices.reject_below:
            label = tf.where(highest < choices.reject_below, choices.reject_label, label)
        return {"label": label, "score": highest, "truncated": cut}

    def several(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        shares, cut = shared(*texts)
        scores, order = tf.math.top_k(shares, k=len(task.labels.names))
        count = tf.reduce_sum(tf.cast(scores >= choices.threshold, tf.int32), axis=1)
        widest = tf.reduce_max(tf.concat([count, [0]], axis=0))
        given, scores = tf.sequence_mask(count, widest), scores[:, :widest]
        return {
            "labels": tf.where(given, tf.gather(labels, order[:, :widest]), ""),
            "scores": tf.where(given, scores, 0.0),
            "count": count,
            "truncated": cut,
        }

    def probabilities(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        shares, _ = shared(*texts)
        return {"labels": tf.broadcast_to(labels[None], tf.shape(shares)), "probabilities": shares}

    return Exported(
        module=module,
        functions={
            "serving_default": over_texts(names, several if task.multi_label else one),
            "probabilities": over_texts(names, probabilities),
        },
        settled={"serving_default": asdict(choices), "probabilities": {}},
        limits=limits_of(bundle),
        reference=_Reference(bundle, task, storage),
        close=frozenset({"label", "labels", "count"}),  # on the edge between two classes, or of a threshold
    )


class _Reference:
    """The model itself, asked through the host faces."""

    def __init__(self, bundle: Bundle, task: ClassifyText, storage: str) -> None:
        self.task, self.model = task, reference_model(bundle, storage)

    def __call__(self, raws: Sequence[Any]) -> dict[str, list[Any]]:
        task, rows = self.task, self.task.probabilities(self.model, raws)
        answers = [task.decide(row) for row in rows]
        if not task.multi_label:
            return {"label": answers, "score": rows.max(axis=1).tolist()}
        scores = [np.sort(row)[::-1][: len(answer)].tolist() for row, answer in zip(rows, answers, strict=True)]
        return {"labels": answers, "scores": scores, "count": [len(answer) for answer in answers]}
