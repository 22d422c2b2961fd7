"""Records tiny presets with random weights, and what KerasHub computes with them, for test_keras_hub.py."""

import json

import keras
import numpy as np
from safetensors.numpy import save_file

from tests.interop.checkpoints import EXPECTED, PIECES, RECORDED, SIZES, inputs


def record(kind, backbone):
    """A preset as `save_to_preset` writes it, with the vocabulary of the other recorded checkpoints."""
    folder = RECORDED / f"kerashub-{kind}"
    rng = np.random.default_rng(0)
    for variable in backbone.weights:
        variable.assign(rng.normal(scale=0.4, size=variable.shape) + ("gamma" in variable.path))
    assets = folder / "assets" / "tokenizer"
    assets.mkdir(parents=True, exist_ok=True)
    backbone.save_to_preset(str(folder))
    (assets / "vocabulary.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    tokenizer = {"class_name": "BertTokenizer", "config": {"lowercase": True, "strip_accents": True}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n", encoding="utf-8")
    given = inputs(len(PIECES), kind)
    fed = {"token_ids": given["ids"], "padding_mask": given["mask"].astype("int32"), "segment_ids": given["segments"]}
    found = backbone({name: fed[name] for name in backbone.input})
    found = found if isinstance(found, dict) else {"sequence_output": found}
    names = {"sequence_output": "hidden", "pooled_output": "output"}
    outputs = {names[name]: np.ascontiguousarray(keras.ops.convert_to_numpy(value)) for name, value in found.items()}
    save_file({**given, **outputs}, folder / EXPECTED)


if __name__ == "__main__":
    from keras_hub.models import BertBackbone, DistilBertBackbone

    sizes = {
        "vocabulary_size": len(PIECES), "num_layers": SIZES["layers"], "num_heads": SIZES["heads"],
        "hidden_dim": SIZES["width"], "intermediate_dim": SIZES["feedforward"],
        "max_sequence_length": SIZES["positions"],
    }  # fmt: skip
    record("bert", BertBackbone(**sizes))
    record("distilbert", DistilBertBackbone(**sizes))
