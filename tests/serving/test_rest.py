import gzip
import json
import socket
from typing import Any

import httpx
import numpy as np
import pytest

from zoo.serving.server import RunningServer

BASE64 = {"b64": "aGk="}
BAD_ROW = "Failed to process element"
OF = "of 'instances' list."


def ask(http: httpx.Client, request: Any, model: str = "kinds", path: str = "") -> tuple[int, Any]:
    """Sends a predict request (bytes as they are) and returns the status and the JSON that came back."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    reply = http.post(f"/v1/models/{model}{path}:predict", content=body)
    assert reply.headers["content-type"] == "application/json"
    return reply.status_code, reply.json()


def test_one_output_goes_without_its_name_in_rows_and_in_columns(http: httpx.Client) -> None:
    assert ask(http, {"instances": ["a", "ü"]}, "upper") == (200, {"predictions": ["A", "ü"]})
    assert ask(http, {"inputs": ["a", "b"]}, "upper") == (200, {"outputs": ["A", "B"]})
    assert ask(http, {"inputs": {"text": ["a"]}}, "upper") == (200, {"outputs": ["A"]})
    assert ask(http, {"instances": [{"text": "a"}]}, "upper") == (200, {"predictions": ["A"]})


def test_several_outputs_are_named_and_bytes_are_base64(http: httpx.Client) -> None:
    request = {"signature_name": "measured", "instances": ["hi", BASE64]}
    row = {"text": "HI", "length": 2, "raw_bytes": BASE64}
    assert ask(http, request, "upper") == (200, {"predictions": [row, row]})
    request = {"signature_name": "measured", "inputs": [BASE64]}
    columns = {"text": ["HI"], "length": [2], "raw_bytes": [BASE64]}
    assert ask(http, request, "upper") == (200, {"outputs": columns})


def test_bytes_with_a_zero_at_their_end_stay_whole(http: httpx.Client) -> None:
    zero = {"b64": "AAA="}
    status, reply = ask(http, {"signature_name": "measured", "inputs": [zero]}, "upper")
    assert (status, reply["outputs"]["raw_bytes"], reply["outputs"]["length"]) == (200, [zero], [2])


def test_the_reply_is_servings_byte_for_byte(http: httpx.Client) -> None:
    reply = http.post("/v1/models/kinds:predict", content=b'{"instances": [1.0, 2, NaN, -Infinity]}')
    assert reply.content == b'{\n    "predictions": [0.5, 1.0, NaN, -Infinity\n    ]\n}'


def test_every_kind_of_value_goes_through_a_model(http: httpx.Client) -> None:
    rows = [
        {
            "a_float64": 1.5,
            "a_int8": -1,
            "a_uint8": 255,
            "a_int16": -300,
            "a_int32": -(2**31),
            "a_int64": 2**63 - 1,
            "a_uint32": 2**32 - 1,
            "a_uint64": 2**64 - 1,
            "a_float32": 0.1,
            "a_bool": True,
            "a_string": "ß",
        },
        dict.fromkeys(("a_int8", "a_uint8", "a_int16", "a_int32", "a_int64", "a_uint32", "a_uint64"), 0)
        | {"a_float64": 1e300, "a_float32": -2.5e-30, "a_bool": False, "a_string": ""},
    ]
    assert ask(http, {"signature_name": "echo", "instances": rows}) == (200, {"predictions": rows})
    columns = {name: [[row[name]] for row in rows] for name in rows[0]}  # of rank 2
    assert ask(http, {"signature_name": "echo", "inputs": columns | {"extra": 1}}) == (200, {"outputs": columns})
    scalars = rows[0]  # of rank 0
    assert ask(http, {"signature_name": "echo", "inputs": scalars}) == (200, {"outputs": scalars})


def test_a_version_in_the_path_and_letter_case(http: httpx.Client) -> None:
    assert ask(http, {"instances": ["a"]}, "upper", "/versions/1") == (200, {"predictions": ["A"]})
    assert http.post("/V1/Models/upper/Versions/01:predict", content=b'{"inputs": "a"}').json() != {}
    assert http.post("/v1/models/%75pper:predict", json={"instances": ["a"]}).json() == {"predictions": ["A"]}


def test_a_gzip_body_is_inflated(http: httpx.Client) -> None:
    headers = {"content-encoding": "gzip"}
    body = gzip.compress(b'{"instances": [4.0]}')
    assert http.post("/v1/models/kinds:predict", content=body, headers=headers).json() == {"predictions": [2.0]}
    reply = http.post("/v1/models/kinds:predict", content=b"no gzip", headers=headers)
    assert reply.json() == {"error": "JSON Parse error: The document is empty"}


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/v1/models/upper:predict", 400, "Malformed request: GET /v1/models/upper:predict"),
        ("POST", "/v1/models/upper", 400, "Malformed request: POST /v1/models/upper"),
        ("POST", "/v1/models/upper:PREDICT", 400, "Malformed request: POST /v1/models/upper:PREDICT"),
        ("POST", "/v1/models/upper/metadata", 400, "Malformed request: POST /v1/models/upper/metadata"),
        ("PUT", "/v1/models/upper", 400, "Malformed request: PUT /v1/models/upper"),
        ("GET", "/v1/foo?a=b", 400, "Malformed request: GET /v1/foo"),
        ("GET", "/v1/models/upper/versions/one", 400, "Malformed request: GET /v1/models/upper/versions/one"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", f"/v1/models/upper/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
        ("GET", "/v1/models/nobody", 404, "Could not find any versions of model nobody"),
        ("GET", "/v1/models/upper/versions/7", 404, "Could not find version 7 of model upper"),
        ("GET", "/v1/models/upper/labels/best", 400, "Unrecognized servable version label: best"),
        ("GET", "/v1/models/nobody/metadata", 404, "Servable not found for request: Latest(nobody)"),
        ("GET", "/v1/models/upper/versions/7/metadata", 404, "Servable not found for request: Specific(upper, 7)"),
    ],
)
def test_paths_that_lead_nowhere(http: httpx.Client, method: str, path: str, status: int, text: str) -> None:
    reply = http.request(method, path)
    assert (reply.status_code, reply.json()) == (status, {"error": text})


def test_a_path_outside_of_the_api_is_not_answered_in_json(http: httpx.Client) -> None:
    reply = http.get("/index.html")
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html")


@pytest.mark.parametrize(
    ("model", "status", "text"),
    [
        ("nobody", 404, "Servable not found for request: Latest(nobody)"),
        ("upper/versions/7", 404, "Servable not found for request: Specific(upper, 7)"),
        ("upper/labels/best", 400, "Unrecognized servable version label: best"),
    ],
)
def test_models_that_are_not_served(http: httpx.Client, model: str, status: int, text: str) -> None:
    assert ask(http, {"instances": ["a"]}, model) == (status, {"error": text})
    assert ask(http, b"{", model)[1]["error"].startswith("JSON Parse error")  # which Serving looks at first


ECHO = {"a_float32": 1.0, "a_bool": True, "a_string": "x", "a_float64": 1} | dict.fromkeys(
    ("a_int8", "a_uint8", "a_int16", "a_int32", "a_int64", "a_uint32", "a_uint64"), 1
)
NAMES = ",".join(sorted(ECHO))


def echo(**changes: Any) -> dict[str, Any]:
    row = {name: value for name, value in (ECHO | changes).items() if value is not None}
    return {"signature_name": "echo", "instances": [row]}


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (b"", 400, "JSON Parse error: The document is empty"),
        (b"instances", 400, "JSON Parse error: Invalid value. at offset: 0"),
        ([1], 400, "JSON Value: [\n    1\n] Is not object"),
        ({}, 400, "Missing 'inputs' or 'instances' key"),
        (
            {"inputs": 1, "instances": [1]},
            400,
            (
                'JSON Value: {\n    "inputs": 1,\n    "instances": [\n        1\n    ]\n} Not formatted correctly '
                "expecting only one of 'inputs' or 'instances' keys to exist "
            ),
        ),
        ({"instances": 1}, 400, "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"),
        ({"instances": []}, 400, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        (
            {"signature_name": 5},
            400,
            (
                'JSON Value: {\n    "signature_name": 5\n} not formatted correctly. '
                "'signature_name' key must be a string value."
            ),
        ),
        (
            {"signature_name": "none", "inputs": 1},
            400,
            'Serving signature name: "none" not found in signature def',
        ),
        (
            {"signature_name": "__saved_model_init_op", "inputs": 1},
            400,
            "Failed to get input map for signature: __saved_model_init_op",
        ),
        (
            {"instances": [1, "x"]},
            400,
            f'{BAD_ROW}: 1 {OF} Error: INVALID_ARGUMENT: JSON Value: "x" Type: String is not of expected type: float',
        ),
        ({"inputs": ["x"]}, 400, 'JSON Value: "x" Type: String is not of expected type: float'),
        ({"inputs": [None]}, 400, "JSON Value: null Type: Null is not of expected type: float"),
        ({"inputs": [1, True]}, 400, "JSON Value: true Type: True is not of expected type: float"),
        ({"inputs": [BASE64]}, 400, 'JSON Value: {\n    "b64": "aGk="\n} Type: Object is not of expected type: float'),
        (
            echo(a_int32=1.5),
            400,
            (
                f"{BAD_ROW}: 0 key: a_int32 {OF} Error: INVALID_ARGUMENT: "
                "JSON Value: 1.5 Type: Number is not of expected type: int32"
            ),
        ),
        (
            echo(a_uint8=2**31),
            400,
            (
                f"{BAD_ROW}: 0 key: a_uint8 {OF} Error: INVALID_ARGUMENT: "
                "JSON Value: 2147483648 Type: Number is not of expected type: uint8"
            ),
        ),
        (
            echo(a_bool=0),
            400,
            (
                f"{BAD_ROW}: 0 key: a_bool {OF} Error: INVALID_ARGUMENT: "
                "JSON Value: 0 Type: Number is not of expected type: bool"
            ),
        ),
        (
            echo(a_string={"b64": "?"}),
            400,
            f"{BAD_ROW}: 0 key: a_string {OF} Error: INVALID_ARGUMENT: Unable to base64 decode",
        ),
        (
            echo(a_string={"b64": 1}),
            400,
            (
                f"{BAD_ROW}: 0 key: a_string {OF} Error: INVALID_ARGUMENT: "
                'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data'
            ),
        ),
        (
            echo(other=1),
            400,
            f"{BAD_ROW}: 0 key: other {OF} Error: INVALID_ARGUMENT: JSON object: does not have named input: other",
        ),
        (
            {"signature_name": "echo", "instances": [{"a_bool": True}]},
            400,
            f'{BAD_ROW}: 0 {OF} JSON object: {{\n    "a_bool": true\n}} keys must be equal to: {NAMES}',
        ),
        (
            {"signature_name": "echo", "instances": [1]},
            400,
            (
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            ),
        ),
        (
            {"signature_name": "echo", "inputs": [1]},
            400,
            (
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            ),
        ),
        ({"signature_name": "echo", "inputs": {}}, 400, "Missing named input: a_bool in 'inputs' object."),
        ({"instances": [{"x": 1}, [1]]}, 400, "Expecting object but got list at item 1 of input list"),
        ({"instances": [1, {"x": 1}]}, 400, "Expecting value/list but got object at item 1 of input list"),
        (
            {"instances": [[1, 2], [3]]},
            400,
            f"{BAD_ROW}: 1 {OF} Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1",
        ),
        (
            {"instances": [[1, 2], [[1, 2]]]},
            400,
            f"{BAD_ROW}: 1 {OF} Error: INVALID_ARGUMENT: Expecting shape [2] but got: [1,2]",
        ),
        (
            {"inputs": [[1], 2]},
            400,
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ({"inputs": [1, [2]]}, 400, "Encountered list at unexpected level: 1 expected < 1"),
        ({"inputs": [[1, 2], [3]]}, 400, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        (
            {"signature_name": "half_precision", "inputs": [1]},
            501,
            "Conversion of JSON Value: 1 to type: half",
        ),
        (
            {"signature_name": "half_precision", "instances": [1]},
            400,
            f"{BAD_ROW}: 0 {OF} Error: UNIMPLEMENTED: Conversion of JSON Value: 1 to type: half",
        ),
        (
            {"signature_name": "to_half_precision", "inputs": [1]},
            400,
            "Failed to write JSON value for tensor type: half",
        ),
        ({"signature_name": "scalar", "instances": [1]}, 400, "Tensor name: sum has no shape information "),
        (
            {"signature_name": "uneven", "instances": [1, 2]},
            400,
            "Tensor name: b has inconsistent batch size: 1 expecting: 2",
        ),
    ],
)
def test_requests_that_are_wrong(http: httpx.Client, request_: Any, status: int, text: str) -> None:
    assert ask(http, request_) == (status, {"error": text})


def test_columns_need_no_common_batch(http: httpx.Client) -> None:
    assert ask(http, {"signature_name": "scalar", "inputs": [1, 2]}) == (200, {"outputs": 3.0})
    assert ask(http, {"signature_name": "uneven", "inputs": [1, 2]}) == (200, {"outputs": {"a": [1, 2], "b": [1]}})


def test_what_an_op_of_the_model_minds_is_the_clients_fault(http: httpx.Client) -> None:
    status, reply = ask(http, {"signature_name": "positive", "instances": [4.0, -1.0]})
    assert status == 400 and "x must be positive" in reply["error"]
    assert ask(http, {"signature_name": "positive", "instances": [4.0]}) == (200, {"predictions": [2.0]})


def test_a_body_beyond_the_limit_is_refused(http: httpx.Client) -> None:
    status, reply = ask(http, {"inputs": ["x" * 100_000]}, "upper")
    assert (status, reply) == (413, {"error": "The request is larger than 100000 bytes, the limit of this server."})
    assert ask(http, {"inputs": ["x" * 99_000]}, "upper")[0] == 200


def test_classify_and_regress_have_their_ways(http: httpx.Client) -> None:
    for method in ("classify", "regress"):
        reply = http.post(f"/v1/models/upper:{method}", json={})
        assert reply.status_code == 400 and "key 'examples' is expected and was not found" in reply.json()["error"]


def test_a_client_that_leaves_in_the_middle_of_its_request_does_no_harm(
    server: RunningServer, http: httpx.Client
) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as half:
        half.sendall(b"POST /v1/models/upper:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
    assert ask(http, {"inputs": ["a"]}, "upper") == (200, {"outputs": ["A"]})


def test_status(http: httpx.Client) -> None:
    reply = http.get("/v1/models/upper")
    assert reply.text == (
        '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
        '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )
    assert http.get("/v1/models/upper/versions/1").text == reply.text


def test_metadata_is_the_proto_with_its_own_field_names(http: httpx.Client) -> None:
    reply = http.get("/v1/models/upper/metadata").json()
    assert reply["model_spec"] == {"name": "upper", "signature_name": "", "version": "1"}
    signatures = reply["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["__saved_model_init_op", "burn", "measured", "serving_default"]
    rank_1 = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    output = signatures["serving_default"]["outputs"]["text"].pop("name")
    assert output.endswith(":0")  # a node of the graph, named by TensorFlow
    assert signatures["serving_default"] == {
        "inputs": {"text": {"name": "serving_default_text:0", "dtype": "DT_STRING", "tensor_shape": rank_1}},
        "outputs": {"text": {"dtype": "DT_STRING", "tensor_shape": rank_1}},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    assert signatures["burn"]["inputs"]["steps"]["tensor_shape"] == {"dim": [], "unknown_rank": False}
    assert signatures["__saved_model_init_op"] == {
        "inputs": {},
        "outputs": {
            "__saved_model_init_op": {
                "name": "NoOp",
                "dtype": "DT_INVALID",
                "tensor_shape": {"dim": [], "unknown_rank": True},
            }
        },
        "method_name": "",
        "defaults": {},
    }
    kinds = http.get("/v1/models/kinds/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert kinds["echo"]["inputs"]["a_uint64"]["tensor_shape"] == {"dim": [], "unknown_rank": True}


def test_one_answer_in_a_hundred_rows_is_the_row_of_its_question(http: httpx.Client) -> None:
    sent = np.random.default_rng(0).normal(size=100).astype(np.float32)
    status, reply = ask(http, {"instances": sent.tolist()})
    assert status == 200
    np.testing.assert_array_equal(np.array(reply["predictions"], np.float32), sent / 2)
