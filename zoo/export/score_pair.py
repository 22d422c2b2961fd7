"""The graph of a scorer of pairs: signature serving_default."""

from __future__ import annotations

import tensorflow as tf

from zoo.export.bundle import Bundle, Exported
from zoo.export.text_encoder import TextEncoderModule, limits_of, over_texts, reference_model, weights_of
from zoo.tasks.score_pair import ScorePair

__all__ = ["build", "weights_of"]


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle of the task score_pair.

    Raises: UserError where the model is no Bert, or Keras is not on TensorFlow.
    """
    task, data = bundle.task, bundle.recipe.data
    assert isinstance(task, ScorePair)
    module, model = TextEncoderModule(bundle, storage), reference_model(bundle, storage)

    def score(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        packed = module.pack(*texts)
        share = module.model.logits(*packed.inputs)[:, 0]
        return {"score": data.lowest + (data.highest - data.lowest) * share, "truncated": packed.cut}

    return Exported(
        module=module,
        functions={"serving_default": over_texts(task.inputs(), score)},
        settled={"serving_default": {"lowest": data.lowest, "highest": data.highest}},
        limits=limits_of(bundle),
        reference=lambda raws: {"score": task.predict(model, raws)},
    )
