"""The golden encoders: what transformers made of tiny BERT, RoBERTa and DistilBERT with each of their heads.

So parity is checked where transformers is not installed, and a change of outputs, which would break the models that
people have trained, does not pass. Made by (with transformers and PyTorch installed; the same file each time):

    KERAS_BACKEND=tensorflow python -m tests.golden.bert
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tests.models import transformers_encoders as theirs
from zoo.models.bert import Bert, Config

FILE = Path(__file__).with_name("bert.safetensors")

Arrays = dict[str, np.ndarray]


def read(kind: str, head: str) -> tuple[Bert, Arrays, np.ndarray]:
    """A model with exactly the weights of theirs, its inputs, and what they answered.

    Tensors: KIND/weights/PATH of encoder and KIND/HEAD/weights/PATH of head and pooler, float16, which is exact;
    KIND/inputs/NAME; KIND/HEAD/outputs float32.
    """
    with safe_open(FILE, "numpy") as tensors:
        config = json.loads(tensors.metadata()["configs"])[f"{kind}/{head}"]
    arrays = load_file(FILE)
    model = Bert(Config(**config))
    set_weights(model, part(arrays, f"{kind}/weights/") | part(arrays, f"{kind}/{head}/weights/"))
    return model, part(arrays, f"{kind}/inputs/"), arrays[f"{kind}/{head}/outputs"]


def part(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def set_weights(model: Bert, weights: Arrays) -> None:
    variables = {v.path: v for v in model.trainable_variables}
    assert variables.keys() == weights.keys()
    for path, value in weights.items():
        assert variables[path].shape == value.shape, path
        variables[path].assign(value.astype("float32"))


def real(found: np.ndarray, inputs: Arrays) -> np.ndarray:
    """The outputs at real positions, or of rows: they number the positions of padding in another way."""
    return found[inputs["mask"]] if found.ndim == 3 else found


def write() -> None:
    """Makes the file."""
    import transformers

    arrays: Arrays = {}
    configs = {}
    for kind, head in theirs.PAIRS:
        config, reference, inputs = theirs.config(kind, head), theirs.reference(kind, head), theirs.inputs(kind)
        configs[f"{kind}/{head}"] = asdict(config)
        paths = [v.path for v in Bert(config).trainable_variables]
        for path, value in theirs.weights(kind, head, reference, paths).items():
            above = "/head/" in path or "/pooler/" in path
            arrays[f"{kind}/{f'{head}/' * above}weights/{path}"] = np.ascontiguousarray(value.astype("float16"))
        arrays |= {f"{kind}/inputs/{name}": value for name, value in inputs.items()}
        arrays[f"{kind}/{head}/outputs"] = theirs.outputs(kind, head, reference, inputs)[0]
    save_file(arrays, FILE, {"configs": json.dumps(configs), "transformers": transformers.__version__})
    print(f"{FILE.name}: {len(arrays)} tensors, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    write()
