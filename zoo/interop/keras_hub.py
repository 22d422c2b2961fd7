"""Presets of KerasHub, saved in a folder: the encoders BERT, RoBERTa and DistilBERT, read without KerasHub."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zoo.errors import UserError
from zoo.interop.config_json import kind_of
from zoo.interop.huggingface import Imported, listed
from zoo.interop.tensors import FETCH, digest, read_json
from zoo.interop.tokenizer_files import read_merges, read_pieces
from zoo.interop.weight_names import weights
from zoo.models.bert_config import Config

WEIGHTS = "model.weights.h5"
# What is fixed in each class.
BACKBONES: dict[str, dict[str, Any]] = {
    "BertBackbone": {"activation": "gelu_tanh", "epsilon": 1e-12, "pooler": "cls_dense"},
    "RobertaBackbone": {"activation": "gelu", "epsilon": 1e-5, "pooler": "mean", "segments": 0},
    "DistilBertBackbone": {"activation": "gelu", "epsilon": 1e-12, "pooler": "mean", "segments": 0},
}
FIELDS = {
    "vocabulary": "vocabulary_size",
    "width": "hidden_dim",
    "feedforward": "intermediate_dim",
    "heads": "num_heads",
    "layers": "num_layers",
    "max_length": "max_sequence_length",
    "dropout": "dropout",
    "attention_dropout": "dropout",
}
# Theirs, without the underscores that some versions of Keras put before a name.
LAYERS = {
    "reversible_embedding": "token_embedding",
    "position_embedding": "positions",
    "embedding": "segment_embedding",
    "token_and_position_embedding/token_embedding": "token_embedding",
    "token_and_position_embedding/position_embedding": "positions",
    "layer_normalization": "embedding_norm",
    "dense": "pooler/dense",
}
BLOCK = {
    "self_attention_layer/query_dense": "attention/query",
    "self_attention_layer/key_dense": "attention/key",
    "self_attention_layer/value_dense": "attention/value",
    "self_attention_layer/output_dense": "attention/output",
    "self_attention_layer_norm": "around_attention/norm",
    "feedforward_intermediate_dense": "feedforward/inner",
    "feedforward_output_dense": "feedforward/outer",
    "feedforward_layer_norm": "around_feedforward/norm",
}


def is_preset(folder: Path) -> bool:
    """Whether a folder holds a preset of KerasHub, or of KerasNLP, as it was called."""
    path = Path(folder) / "config.json"
    return path.is_file() and re.match("keras_(hub|nlp)>", str(read_json(path).get("registered_name"))) is not None


def read(folder: Path | str, task: str = "") -> Imported:
    """Reads the preset of an encoder: config.json, model.weights.h5, assets/tokenizer and tokenizer.json.

    Args:
        folder: of the preset.
        task: "embed" or empty, since a preset is read without a head.

    Raises: UserError naming the file where anything is missing, torn, not supported, or left over.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if task not in ("", "embed"):
        remedy = f'Import it for "embed", then train "{task}" --from that run.'
        raise UserError(f'a preset of an encoder is not for the task "{task}"', where=str(folder), remedy=remedy)
    fields = read_json(path)
    name, given = fields.get("class_name"), fields.get("config") or {}
    if name not in BACKBONES:
        raise UserError(f'"{name}" is not one that is read', where=str(path), remedy=f"Known: {', '.join(BACKBONES)}.")
    missing = [theirs for theirs in FIELDS.values() if theirs not in given]
    if missing:
        raise UserError(f"it has no {missing[0]}", where=str(path))
    values = {ours: given[theirs] for ours, theirs in FIELDS.items()} | BACKBONES[name]
    values.setdefault("segments", given.get("num_segments", 2))
    try:
        config = Config(**values, head="pool")
    except UserError as error:
        raise UserError(f"{FIELDS.get(error.where, error.where)}: {error.problem}", where=str(path)) from error
    subwords = _subwords(folder)
    if subwords.size > config.vocabulary:
        raise UserError(f"its vocabulary has {subwords.size:,} pieces, not {config.vocabulary:,}", where=str(folder))
    about = {
        "name": folder.resolve().name,
        "architecture": name,
        "files": {WEIGHTS: digest(folder / WEIGHTS)} if (folder / WEIGHTS).is_file() else {},
        "left_out": [],
        "max_length": config.max_length,
        "multi_label": False,
        "normalize": False,
    }
    return Imported(config, _weights(folder / WEIGHTS, config), subwords, [], "embed", about)


def _subwords(folder: Path) -> Any:
    assets = folder / "assets" / "tokenizer"
    flags = (read_json(folder / "tokenizer.json").get("config")) or {}
    if (assets / "vocabulary.txt").is_file():
        lowercase, accents = bool(flags.get("lowercase")), bool(flags.get("strip_accents"))
        return read_pieces(assets / "vocabulary.txt", {"do_lower_case": lowercase, "strip_accents": accents})
    prefix = {"add_prefix_space": flags.get("add_prefix_space")}
    return read_merges(assets / "vocabulary.json", assets / "merges.txt", prefix)


def _weights(path: Path, config: Config) -> dict[str, np.ndarray]:
    """float32 arrays by our paths; heads are a dimension of their own in the file."""
    wanted = {each.ours: each.shape[::-1] if each.turned else each.shape for each in weights(kind_of(config), config)}
    found: dict[str, np.ndarray] = {}
    strange = []

    def take(theirs: str, value: Any) -> None:
        if not isinstance(value, h5py.Dataset):
            return
        ours = _ours(theirs, wanted)
        shape = wanted.get(ours, ())
        same = math.prod(shape) == value.size if "/attention/" in str(ours) else shape == value.shape
        if ours is None or ours in found or not same:
            strange.append(f"{theirs} {value.shape}")
        else:
            found[ours] = np.asarray(value, "float32").reshape(shape)

    try:
        with h5py.File(path) as file:
            file.visititems(take)
    except OSError as error:
        raise UserError(f"not a whole file of Keras weights ({error})", where=str(path), remedy=FETCH) from error
    missing = wanted.keys() - found.keys()
    if missing or strange:
        lists = [f"{what} {listed(names)}" for what, names in (("missing:", missing), ("not used:", strange)) if names]
        raise UserError(f"its weights do not fit the model; {'; '.join(lists)}", where=str(path))
    return found


def _ours(theirs: str, wanted: dict[str, Any]) -> str | None:
    """The path of a weight by its name in the file, "layers/LAYER/vars/NUMBER"."""
    match = re.fullmatch(r"layers/(.+)/vars/(\d)", theirs)
    if not match:
        return None
    parts = "/".join(part.lstrip("_") for part in match[1].split("/"))
    block = re.fullmatch(r"transformer_encoder(?:_(\d+))?/(.+)", parts)
    if block:
        layer = f"encoder/block_{block[1] or 0}/{BLOCK.get(block[2])}"
    else:
        layer = LAYERS.get(parts, "")
    # A layer has a table, or a kernel or scale, with its bias as the second.
    leaves = ("table", "kernel", "gamma") if match[2] == "0" else ("bias", "beta")
    return next((path for leaf in leaves if (path := f"bert/{layer}/{leaf}") in wanted), None)
