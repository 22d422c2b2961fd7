"""Checkpoints of transformers and sentence-transformers in, and models of the family "bert" out as such.

BERT (Devlin et al., 2018), RoBERTa (Liu et al., 2019) and DistilBERT (Sanh et al., 2019), with their heads and labels.
Every tensor of a checkpoint is used exactly once, or known by name and checked to be what it is taken for, or the
import fails with the list.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from zoo.errors import UserError
from zoo.interop.config_json import Described, kind_of, made_config, read_config
from zoo.interop.sentence_transformers import POOLERS, Modules, read_modules, write_modules
from zoo.interop.tensors import Tensors
from zoo.interop.tokenizer_files import most_pieces, read_subwords, write_subwords
from zoo.interop.weight_names import COPIES, WORDS, Weight, others, weights
from zoo.models.bert_config import Config

TASKS = {
    "classify": "classify_text",
    "tokens": "tag",
    "span": "answer",
    "masked_words": "fill_mask",
    "pool": "embed",
}
SHOWN = 20  # names in an error


@dataclass(frozen=True)
class Imported:
    """A checkpoint as read.

    Attributes:
        config: of the family "bert", with its head.
        weights: float32 arrays by the path of the model's variable; some are views of the mapped file.
        subwords: WordPiece or BytePair, with the checkpoint's own ids.
        labels: names of the outputs of a head that classifies, in order.
        task: the task of zoo that the head serves.
        about: JSON values: name, architecture, files (SHA-256 by name), left_out (tensors of pre-training that the
            model has no use for), max_length (pieces of a text that are read), multi_label, normalize.
    """

    config: Config
    weights: dict[str, np.ndarray]
    subwords: Any
    labels: list[str]
    task: str
    about: dict[str, Any]


def read(folder: Path | str, task: str = "") -> Imported:
    """Reads the folder of a checkpoint, as transformers or sentence-transformers saved it.

    Args:
        folder: with config.json, weights (safetensors or pytorch_model.bin) and vocabulary.
        task: the task of zoo that it is for; empty: what its head is for. "embed" takes the encoder alone.

    Raises: UserError naming the file where anything is missing, torn, not supported, or left over.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("this is no folder", where=str(folder), remedy="Give the folder with config.json in it.")
    modules = read_modules(folder)
    encoder = modules.encoder if modules else folder
    described = read_config(encoder)
    tensors = Tensors(encoder)
    prefix = f"{described.kind}." if any(name.startswith(f"{described.kind}.") for name in tensors) else ""
    task, config = _settled(described, task, modules, f"{prefix}pooler.dense.weight" in tensors, folder)
    subwords = read_subwords(encoder)
    _check_subwords(subwords, config, modules, encoder)
    taken, left_out = _taken(tensors, described.kind, config, prefix)
    most = (modules.most if modules else 0) or most_pieces(encoder) or config.max_length
    about = {
        "name": folder.resolve().name,
        "architecture": described.architecture,
        "files": tensors.hashes(),
        "left_out": left_out,
        "max_length": min(most, config.max_length),
        "multi_label": described.problem == "multi_label_classification",
        "normalize": bool(modules and modules.normalize),
    }
    return Imported(config, taken, subwords, described.labels, task, about)


def _settled(
    described: Described, task: str, modules: Modules | None, pooler: bool, folder: Path
) -> tuple[str, Config]:
    """The task, and the config with the head and the pooler that serve it."""
    config = described.config
    implied = "score_pair" if described.problem == "regression" else TASKS[config.head]
    if task == "embed" and config.head == "masked_words":
        config, implied = replace(config, head="pool"), "embed"
    if task not in ("", implied):
        raise UserError(
            f'this {described.architecture} is for the task "{implied}", not "{task}"',
            where=str(folder),
            remedy=f'Import it for "{implied}", then train "{task}" --from that run: the encoder is taken over.',
        )
    if config.head == "pool":
        config = replace(config, pooler=modules.pooler if modules else "cls_dense" if pooler else "mean")
    elif modules:
        raise UserError(f"modules.json pools, but the model is a {described.architecture}", where=str(folder))
    return implied, config


def _check_subwords(subwords: Any, config: Config, modules: Modules | None, folder: Path) -> None:
    if subwords.size > config.vocabulary:
        problem = f"its vocabulary has {subwords.size:,} pieces, vocab_size in config.json is {config.vocabulary:,}"
        raise UserError(problem, where=str(folder))
    if config.position_offset and subwords.pad_id != config.position_offset - 1:
        problem = f"padding is {subwords.pad_id} in the vocabulary, {config.position_offset - 1} in config.json"
        raise UserError(problem, where=str(folder))
    if modules and modules.lowercase and subwords.encode("A").tolist() != subwords.encode("a").tolist():
        raise UserError("texts are lowercased before a tokenizer that knows capitals", where=str(folder))


def _taken(tensors: Tensors, kind: str, config: Config, prefix: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """The weights by our paths, and the names of those that are left out."""
    copies = {name: prefix + of if of == WORDS else of for name, of in COPIES[kind].items()}
    copy_of = {of: name for name, of in copies.items()}
    rest = set(tensors)
    found, missing = {}, []
    for weight in weights(kind, config, prefix):
        # A tied weight may be stored under its copy's name alone.
        names = (weight.theirs, weight.old, copy_of.get(weight.theirs, weight.theirs))
        name = next((name for name in names if name in tensors), None)
        if name is None:
            missing.append(weight.theirs)
            continue
        array = np.asarray(checked(tensors, name, weight), "float32")
        found[weight.ours] = array.T if weight.turned else array
        rest.discard(name)
    known = others(kind, config, prefix)
    known |= {weight.old: weight for weight in known.values()}
    left_out = sorted(name for name in rest if name in known)
    for name in left_out:
        checked(tensors, name, known[name])
    rest -= set(left_out)
    rest -= {name for name in rest if _is_copy(tensors, name, copies) or _is_count(tensors, name, prefix)}
    if missing or rest:
        lists = [f"{what} {listed(names)}" for what, names in (("missing:", missing), ("not used:", rest)) if names]
        where, remedy = str(tensors.files[0]), "Is it of the architecture that its config.json names?"
        raise UserError(f"its tensors do not fit the model; {'; '.join(lists)}", where=where, remedy=remedy)
    return found, left_out


def checked(tensors: Tensors, name: str, weight: Weight) -> np.ndarray:
    """A tensor of floats with the shape of the weight. Raises: UserError where it is another."""
    array = tensors[name]
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        problem = f"{name} holds {array.dtype}; quantised weights are not read"
        raise UserError(problem, where=str(tensors.where[name]))
    if array.shape != weight.shape:
        problem = f"{name} has the shape {array.shape}; by config.json it must be {weight.shape}"
        raise UserError(problem, where=str(tensors.where[name]))
    return array


def _is_copy(tensors: Tensors, name: str, copies: Mapping[str, str]) -> bool:
    """A tied weight, stored once more.

    Raises: UserError where it is another than the one it is tied to: outputs would differ.
    """
    original = copies.get(name)
    if original not in tensors:
        return False
    if not np.array_equal(tensors[name], tensors[original]):
        problem = f"{name} is not the copy of {original} that it is taken for; untied weights are not supported"
        raise UserError(problem, where=str(tensors.where[name]))
    return True


def _is_count(tensors: Tensors, name: str, prefix: str) -> bool:
    """The numbers of positions 0, 1, …, or segments 0, 0, …, which older versions stored.

    Raises: UserError where it holds anything else.
    """
    step = {f"{prefix}embeddings.position_ids": 1, f"{prefix}embeddings.token_type_ids": 0}.get(name)
    if step is None:
        return False
    array = tensors[name]
    if not np.array_equal(array.reshape(-1), np.arange(array.size) * step):
        raise UserError(f"{name} does not count {'0, 1, …' if step else '0, 0, …'}", where=str(tensors.where[name]))
    return True


def listed(names: Iterable[str]) -> str:
    """Names for an error, the first of them where they are many."""
    names = sorted(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def write(
    model: Any,
    subwords: Any,
    folder: Path | str,
    labels: Sequence[str] = (),
    *,
    problem: str = "",
    normalize: bool = False,
) -> None:
    """Writes a model as a folder that transformers loads: AutoModel and AutoTokenizer give the same outputs.

    A model that pools by mean or [CLS] becomes a folder of sentence-transformers.

    Args:
        model: of the family "bert".
        subwords: WordPiece or BytePair.
        folder: made here; it appears whole or not at all.
        labels: names of the outputs of a head that classifies.
        problem: of a classifier: "multi_label_classification", or empty for one label, or a score of one output.
        normalize: embeddings have the length 1, as the task embed gives them.

    Raises: UserError where the folder is there, or transformers has no such model.
    """
    config, folder = model.config, Path(folder)
    if folder.exists():
        raise UserError("this folder is there already", where=str(folder))
    if len(labels) != (config.classes if config.head in ("classify", "tokens") else 0):
        raise UserError(f"{len(labels)} labels for {config.classes} outputs", where="labels")
    fields = made_config(config, labels, problem, subwords.pad_id)
    arrays = _given(model)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        save_file(arrays, draft / "model.safetensors", {"format": "pt"})
        text = json.dumps(fields, indent=2, ensure_ascii=False)
        (draft / "config.json").write_text(text + "\n", encoding="utf-8")
        write_subwords(subwords, draft, config.max_length)
        if config.head == "pool" and config.pooler in POOLERS:
            write_modules(draft, config.pooler, config.width, normalize, config.max_length)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _given(model: Any) -> dict[str, np.ndarray]:
    """The weights of a model by their names."""
    config, kind = model.config, kind_of(model.config)
    bare = config.head in ("none", "pool")
    there = {variable.path: variable for variable in model.weights}
    wanted = weights(kind, config, "" if bare else f"{kind}.")
    strange = there.keys() ^ {weight.ours for weight in wanted}
    if strange:
        remedy = "Merge what was added to the model, such as LoRA, first."
        raise UserError(f"transformers has no place for, or misses: {listed(strange)}", remedy=remedy)
    arrays = {}
    for weight in wanted:
        array = np.asarray(there[weight.ours].numpy(), "float32")
        arrays[weight.theirs] = np.ascontiguousarray(array.T if weight.turned else array)
    return arrays
