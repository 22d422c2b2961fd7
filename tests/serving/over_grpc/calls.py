"""Requests by TensorFlow Serving's own client library, and what comes back."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from zoo.serving.status import Code

SEEN: list[tuple[str, str, Code]] = []


def predict_request(model: str, signature: str = "", filtered: tuple[str, ...] = (), **inputs: Any) -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    request.output_filter.extend(filtered)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def arrays(response: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.make_ndarray(tensor).tolist() for name, tensor in response.outputs.items()}


def failure(call: Callable[..., Any], request: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **options)
    return caught.value.code().name, caught.value.details()
