"""TensorFlow Serving's messages for a client that must not import TensorFlow.

The stubs of tensorflow-serving-api import TensorFlow, and a second registration of the same messages in protobuf's
common pool is an error in a process that has both. So these are made here, from the table below, in a pool of their
own and under names of their own: on the wire a message has no name, only numbers. Fields that a client does not need
are left out of the table; protobuf carries them along unread.

Numbers and types: tensorflow_serving/apis/*.proto, tensorflow/core/framework/{tensor,tensor_shape}.proto and
tensorflow/core/protobuf/meta_graph.proto. Enums are int32, which looks the same on the wire.
"""

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "zoo.serving"

# Message -> fields: number, name, type; with * where it is repeated, in {} where it is the value of a map from strings.
_MESSAGES = {
    "Dim": "1 size int64",
    "Shape": "2 dim Dim*, 3 unknown_rank bool",
    "Tensor": "1 dtype int32, 2 tensor_shape Shape, 4 tensor_content bytes, 5 float_val float*, 6 double_val double*, "
    "7 int_val int32*, 8 string_val bytes*, 9 scomplex_val float*, 10 int64_val int64*, 11 bool_val bool*, "
    "12 dcomplex_val double*, 13 half_val int32*, 16 uint32_val uint32*, 17 uint64_val uint64*",
    "Version": "1 value int64",
    "ModelSpec": "1 name string, 2 version Version, 3 signature_name string",
    "PredictRequest": "1 model_spec ModelSpec, 2 inputs {Tensor}",
    "PredictResponse": "1 outputs {Tensor}, 2 model_spec ModelSpec",
    "Any": "1 type_url string, 2 value bytes",
    "GetModelMetadataRequest": "1 model_spec ModelSpec, 2 metadata_field string*",
    "GetModelMetadataResponse": "1 model_spec ModelSpec, 2 metadata {Any}",
    "TensorInfo": "1 name string, 2 dtype int32, 3 tensor_shape Shape",
    "SignatureDef": "1 inputs {TensorInfo}, 2 outputs {TensorInfo}, 3 method_name string",
    "SignatureDefMap": "1 signature_def {SignatureDef}",
    "GetModelStatusRequest": "1 model_spec ModelSpec",
    "Status": "1 error_code int32, 2 error_message string",
    "ModelVersionStatus": "1 version int64, 2 state int32, 3 status Status",
    "GetModelStatusResponse": "1 model_version_status ModelVersionStatus*",
}


def message(name: str) -> Any:
    """The class of a message of the table, such as "PredictRequest"."""
    return _classes()[name]


@cache
def _classes() -> dict[str, Any]:
    pool = DescriptorPool()
    file = FileDescriptorProto(name="zoo/serving/messages.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field in fields.split(", "):
            _add_field(described, *field.split(" "))
    pool.AddSerializedFile(file.SerializeToString())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


def _add_field(described: DescriptorProto, number: str, name: str, kind: str) -> None:
    repeated = kind.endswith("*") or kind.startswith("{")
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    field = described.field.add(name=name, number=int(number), label=label)
    if kind.startswith("{"):
        entry = described.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "1", "key", "string")
        _add_field(entry, "2", "value", kind.strip("{}"))
        kind = f"{described.name}.{entry.name}"
    kind = kind.rstrip("*")
    if kind[0].isupper():
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
