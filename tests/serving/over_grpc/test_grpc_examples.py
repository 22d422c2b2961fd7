"""Classify, Regress and MultiInference over gRPC."""

from typing import Any

import pytest

from tests.serving.over_grpc.calls import SEEN, failure


def examples_request(kind: str, signature: str = "", *features: dict[str, float], context: Any = None) -> Any:
    from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
    from tensorflow_serving.apis.regression_pb2 import RegressionRequest

    request = {"classify": ClassificationRequest, "regress": RegressionRequest}[kind]()
    request.model_spec.name, request.model_spec.signature_name = "examples", signature
    add_examples(request.input, features, context)
    return request


def add_examples(to: Any, features: Any, context: Any = None) -> None:
    listed = to.example_list if context is None else to.example_list_with_context
    if context is not None:
        for name, value in context.items():
            listed.context.features.feature[name].float_list.value.append(value)
    for each in features:
        example = listed.examples.add()
        for name, value in each.items():
            example.features.feature[name].float_list.value.append(value)


def test_classify_and_regress(stub: Any) -> None:
    response = stub.Classify(examples_request("classify", "", {"x": 0.25}, {"x": 1.0}))
    rows = [[(each.label, each.score) for each in row.classes] for row in response.result.classifications]
    assert rows == [[("low", 0.75), ("high", 0.25)], [("low", 0.0), ("high", 1.0)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("examples", 3, "serving_default")
    response = stub.Regress(examples_request("regress", "double", {}, {"x": 1.0}, context={"x": 0.5}))
    assert [each.value for each in response.result.regressions] == [1.0, 2.0]
    assert response.model_spec.signature_name == "double"
    assert [api for _, api, _ in SEEN[-2:]] == ["Classify", "Regress"]


def test_classify_and_regress_complain_as_serving_does(stub: Any) -> None:
    assert failure(stub.Classify, examples_request("classify")) == ("INVALID_ARGUMENT", "Input is empty.")
    unknown = ("INVALID_ARGUMENT", "No signature was found with the name: none")
    assert failure(stub.Classify, examples_request("classify", "none", {})) == unknown
    assert failure(stub.Regress, examples_request("regress", "none", {})) == unknown
    code, text = failure(stub.Classify, examples_request("classify", "double", {}))
    assert code == "FAILED_PRECONDITION" and text.startswith("Expected classification signature outputs to contain")


def multi_request(*tasks: tuple[str, str, str], features: Any = ({"x": 0.25},)) -> Any:
    from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest

    request = MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = model, signature
    add_examples(request.input, features)
    return request


def test_several_signatures_are_asked_about_the_same_examples(stub: Any) -> None:
    response = stub.MultiInference(multi_request(("examples", "double", "regress"), ("examples", "", "classify")))
    regression, classification = response.results
    assert [each.value for each in regression.regression_result.regressions] == [0.5]
    assert regression.model_spec.signature_name == "double" and regression.model_spec.version.value == 3
    (row,) = classification.classification_result.classifications
    assert [each.label for each in row.classes] == ["low", "high"]


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [
        (
            [("examples", "double", "regress"), ("upper", "", "classify")],
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        ([("examples", "double", "regress"), ("", "", "regress")], "Found ModelSpec with an empty model name."),
        ([("examples", "double", "regress")] * 2, "Duplicate evaluation of signature: double"),
        ([("examples", "none", "regress")], "Requested signature not found in model graph: none"),
        (
            [("examples", "double", "regress"), ("examples", "elsewhere", "regress")],
            "Input tensor must be the same for all Signatures.",
        ),
        ([("examples", "", "regress")], "Expected one output Tensor."),
    ],
)
def test_tasks_that_do_not_go_together_are_refused(stub: Any, tasks: Any, wanted: str) -> None:
    assert failure(stub.MultiInference, multi_request(*tasks)) == ("INVALID_ARGUMENT", wanted)


def test_other_methods_are_not_for_multi_inference(stub: Any) -> None:
    text = "Unsupported signature method_name: tensorflow/serving/predict"
    assert failure(stub.MultiInference, multi_request(("examples", "", "predict"))) == ("UNIMPLEMENTED", text)
    empty = multi_request(("examples", "double", "regress"), features=())
    assert failure(stub.MultiInference, empty) == ("INVALID_ARGUMENT", "Input is empty.")
