"""Checkpoints of transformers in, and models of the family "vit" out as such: ViT and DeiT, with labels and pixels.

ViT (Dosovitskiy et al., 2020) and DeiT (Touvron et al., 2020), whose distillation token is our first register. Every
tensor of a checkpoint is used exactly once, or known by name and checked to be what it is taken for, or the import
fails with the list.

Theirs gives class and distillation token a position, which is the same in every image; ours has it in the token.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from zoo.errors import UserError
from zoo.interop.huggingface import checked, listed
from zoo.interop.image_json import CONFIG, PIXELS, made_config, made_pixels, read_config, read_pixels
from zoo.interop.tensors import Tensors
from zoo.interop.weight_names import Weight, dense_weights, norm_weights
from zoo.models.vit_config import Config
from zoo.preprocessing.image import ImageChoices

BLOCK = {
    "attention/query": "attention.attention.query",
    "attention/key": "attention.attention.key",
    "attention/value": "attention.attention.value",
    "attention/output": "attention.output.dense",
    "around_attention/norm": "layernorm_before",
    "feedforward/inner": "intermediate.dense",
    "feedforward/outer": "output.dense",
    "around_feedforward/norm": "layernorm_after",
}
TOKENS = ("cls_token", "distillation_token")
POSITIONS, PATCHES = "position_embeddings", "patch_embeddings.projection"
MADE = ("vit/leading_tokens/table", "vit/positions/table", "vit/stem/projection/kernel")  # of theirs, by `_ours`
HEAD = ("vit/head/output/kernel", "vit/head/output/bias")
TEACHER = ("cls_classifier", "distillation_classifier")  # our kernel is both, one above the other, halved

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class ImportedImages:
    """A checkpoint as read.

    Attributes:
        config: of the family "vit", with its head.
        weights: float32 arrays by the path of the model's variable; some are views of the mapped file.
        pixels: how images become what the model takes.
        labels: names of the classes, in order; of names that come twice the later ones carry their number.
        about: JSON values: name, architecture, files (SHA-256 by name), left_out (tensors that the model has no use
            for, such as the pooler of an encoder without head).
    """

    config: Config
    weights: Arrays
    pixels: ImageChoices
    labels: list[str]
    about: dict[str, Any]


def read(folder: Path | str) -> ImportedImages:
    """Reads the folder of a ViT or DeiT, as transformers saved it.

    Args:
        folder: with config.json, preprocessor_config.json and weights (safetensors or pytorch_model.bin).

    Raises: UserError naming the file where anything is missing, torn, not supported, or left over.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("this is no folder", where=str(folder), remedy="Give the folder with config.json in it.")
    described = read_config(folder)
    config = described.config
    pixels = read_pixels(folder, config)
    tensors = Tensors(folder)
    prefix = f"{described.kind}." if any(name.startswith(f"{described.kind}.") for name in tensors) else ""
    same, joined = list(_same(config, prefix)), list(_joined(config, prefix))
    names = {weight.theirs for weight in (*same, *joined)}
    known = {weight.theirs: weight for weight in _others(config, prefix)}
    rest, missing = set(tensors) - names, names - set(tensors)
    if missing or rest - known.keys():
        found = (("missing:", missing), ("not used:", rest - known.keys()))
        lists = "; ".join(f"{what} {listed(each)}" for what, each in found if each)
        remedy = "Is it of the architecture that its config.json names?"
        raise UserError(f"its tensors do not fit the model; {lists}", where=str(tensors.files[0]), remedy=remedy)
    for name in rest:
        checked(tensors, name, known[name])
    weights = {}
    for weight in same:
        array = np.asarray(checked(tensors, weight.theirs, weight), "float32")
        weights[weight.ours] = array.T if weight.turned else array
    theirs = {
        weight.theirs.removeprefix(prefix): np.asarray(checked(tensors, weight.theirs, weight), "float32")
        for weight in joined
    }
    weights |= _ours(theirs, config)
    about = {
        "name": folder.resolve().name,
        "architecture": described.architecture,
        "files": tensors.hashes(),
        "left_out": sorted(rest),
    }
    return ImportedImages(config, weights, pixels, described.labels, about)


def write(model: Any, pixels: ImageChoices, folder: Path | str, labels: Sequence[str] = ()) -> None:
    """Writes a model as a folder that transformers loads, with the same outputs.

    Args:
        model: of the family "vit".
        pixels: how images become what the model takes.
        folder: made here; it appears whole or not at all.
        labels: names of the classes, where it has a head.

    Raises: UserError where the folder is there, or transformers has no such model.
    """
    config, folder = model.config, Path(folder)
    if folder.exists():
        raise UserError("this folder is there already", where=str(folder))
    if len(labels) != config.classes:
        raise UserError(f"{len(labels)} labels for {config.classes} outputs", where="labels")
    files = {CONFIG: made_config(config, labels), PIXELS: made_pixels(pixels)}
    arrays = _given(model, "" if config.head == "none" else f"{files[CONFIG]['model_type']}.")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        save_file(arrays, draft / "model.safetensors", {"format": "pt"})
        for name, fields in files.items():
            text = json.dumps(fields, indent=2, ensure_ascii=False)
            (draft / name).write_text(text + "\n", encoding="utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _same(config: Config, prefix: str) -> Iterator[Weight]:
    """The weights that each are one of theirs."""
    width = config.width
    yield Weight("vit/stem/projection/bias", f"{prefix}embeddings.{PATCHES}.bias", (width,))
    sizes = {"feedforward/inner": (width, config.feedforward), "feedforward/outer": (config.feedforward, width)}
    for index in range(config.layers):
        for ours, theirs in BLOCK.items():
            pair = f"vit/encoder/block_{index}/{ours}", f"{prefix}encoder.layer.{index}.{theirs}"
            if ours.endswith("norm"):
                yield from norm_weights(*pair, width)
            else:
                yield from dense_weights(*pair, *sizes.get(ours, (width, width)))
    yield from norm_weights("vit/encoder/norm", f"{prefix}layernorm", width)
    if config.head == "classify" and config.pooling == "class":
        yield from dense_weights("vit/head/output", "classifier", width, config.classes)


def _joined(config: Config, prefix: str) -> Iterator[Weight]:
    """Theirs that become parts of ours, which `_ours` names, or are laid out anew."""
    width = config.width
    for name in TOKENS[: config.leading]:
        yield Weight("", f"{prefix}embeddings.{name}", (1, 1, width))
    yield Weight("", f"{prefix}embeddings.{POSITIONS}", (1, config.leading + config.patches, width))
    shape = (width, config.channels, config.patch, config.patch)
    yield Weight("", f"{prefix}embeddings.{PATCHES}.weight", shape)
    if config.head == "classify" and config.pooling == "distilled":
        for name in TEACHER:
            yield from dense_weights("", name, width, config.classes)


def _others(config: Config, prefix: str) -> Iterator[Weight]:
    """What a checkpoint may hold that the model has no use for."""
    yield Weight("", f"{prefix}embeddings.mask_token", (1, 1, config.width))
    yield from dense_weights("", f"{prefix}pooler.dense", config.width, config.width)


def _ours(theirs: Arrays, config: Config) -> Arrays:
    """Our weights of what `_joined` names, by their names without prefix."""
    tokens = np.concatenate([theirs[f"embeddings.{name}"][0] for name in TOKENS[: config.leading]])
    positions = theirs[f"embeddings.{POSITIONS}"][0]
    kernel = theirs[f"embeddings.{PATCHES}.weight"].transpose(2, 3, 1, 0)
    made = (tokens + positions[: config.leading], positions[config.leading :], kernel.reshape(-1, config.width))
    found = dict(zip(MADE, made, strict=True))
    if config.head == "classify" and config.pooling == "distilled":
        kernels, biases = ([theirs[f"{name}.{leaf}"] for name in TEACHER] for leaf in ("weight", "bias"))
        head = np.concatenate([kernel.T for kernel in kernels]) / 2, (biases[0] + biases[1]) / 2
        found |= dict(zip(HEAD, head, strict=True))
    return found


def _theirs(ours: Arrays, config: Config) -> Arrays:
    """The way back of `_ours`: tokens as ours, with positions of zero."""
    tokens, table, kernel = (ours[name] for name in MADE)
    shape = (config.patch, config.patch, config.channels, config.width)
    found = {f"embeddings.{name}": token[None, None] for name, token in zip(TOKENS, tokens, strict=False)}
    found[f"embeddings.{POSITIONS}"] = np.concatenate([np.zeros_like(tokens), table])[None]
    found[f"embeddings.{PATCHES}.weight"] = kernel.reshape(shape).transpose(3, 2, 0, 1)
    if config.head == "classify" and config.pooling == "distilled":
        head, bias = (ours[name] for name in HEAD)
        for name, part in zip(TEACHER, np.split(head, 2), strict=True):
            found |= {f"{name}.weight": 2 * part.T, f"{name}.bias": bias}
    return found


def _given(model: Any, prefix: str) -> Arrays:
    """The weights of a model by their names."""
    there = {variable.path: np.asarray(variable.numpy(), "float32") for variable in model.weights}
    same = list(_same(model.config, prefix))
    strange = there.keys() ^ {weight.ours for weight in same}.union(MADE, HEAD if model.config.classes else ())
    if strange:
        remedy = "Merge what was added to the model, such as LoRA, first."
        raise UserError(f"transformers has no place for, or misses: {listed(strange)}", remedy=remedy)
    arrays = {}
    for weight in same:
        array = there.pop(weight.ours)
        arrays[weight.theirs] = array.T if weight.turned else array
    parts = _theirs(there, model.config)
    for weight in _joined(model.config, prefix):
        arrays[weight.theirs] = parts[weight.theirs.removeprefix(prefix)]
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
