"""Small SavedModels that take tf.Examples, to classify and regress."""

from pathlib import Path
from typing import Any


def save_examples(home: Path) -> Path:
    """Writes version 3 of a model whose signatures read the feature `x` of each example, as estimators exported them.

    With x of an example: classes "low" and "high" with scores 1 - x and x; a regression of 2 x, and its like for
    mistakes. Built as TensorFlow 1 did, so that all signatures share one input tensor.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    path = home / "3"
    with v1.Graph().as_default(), v1.Session() as session:
        inputs = v1.placeholder(tf.string, [None], name="examples")
        features = {
            "x": tf.io.FixedLenFeature([], tf.float32, 0.0),
            "n": tf.io.FixedLenFeature([], tf.int64, 0),
            "word": tf.io.FixedLenFeature([], tf.string, ""),
        }
        read = tf.io.parse_example(inputs, features)
        x, word = read["x"], read["word"]
        other = v1.placeholder(tf.string, [None], name="other")
        classes = tf.stack([tf.fill(tf.shape(x), "low"), "high" + word], axis=1)
        scores = tf.stack([1.0 - x, x], axis=1)
        doubled = 2.0 * x + tf.cast(read["n"], tf.float32)
        named: dict[str, tuple[Any, dict[str, Any]]] = {
            "serving_default": (inputs, {"classes": classes, "scores": scores}),
            "labels": (inputs, {"classes": classes}),
            "scores": (inputs, {"scores": scores}),
            "double": (inputs, {"outputs": doubled}),
            "double_column": (inputs, {"outputs": doubled[:, None]}),
            "square": (inputs, {"outputs": doubled[:, None] * doubled[None, :]}),
            "whole": (inputs, {"outputs": tf.cast(doubled, tf.int32)}),
            "cut": (inputs, {"outputs": doubled[:1]}),
            "flat": (inputs, {"scores": x}),
            "numbers": (inputs, {"classes": scores}),
            "short": (inputs, {"scores": scores[:1]}),
            "uneven": (inputs, {"classes": classes, "scores": scores[:, :1]}),
            "elsewhere": (other, {"outputs": tf.cast(tf.strings.length(other), tf.float32)}),
        }
        signatures = {name: _signature({"inputs": source}, outputs) for name, (source, outputs) in named.items()}
        signatures["three"] = _signature({"inputs": inputs}, {"classes": classes, "scores": scores, "x": x})
        signatures["two_inputs"] = _signature({"inputs": inputs, "other": other}, {"outputs": doubled})
        signatures["misnamed"] = _signature({"text": inputs}, {"result": doubled})
        signatures["misnamed_output"] = _signature({"inputs": inputs}, {"result": doubled})
        builder = v1.saved_model.builder.SavedModelBuilder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    return path


def _signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    import tensorflow as tf

    v1 = tf.compat.v1
    sides = (
        {name: v1.saved_model.utils.build_tensor_info(tensor) for name, tensor in side.items()}
        for side in (inputs, outputs)
    )
    return v1.saved_model.signature_def_utils.build_signature_def(*sides, method_name="tensorflow/serving/predict")
