"""The folders of sentence-transformers: an encoder, how its hidden states are pooled, and whether lengths become 1."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.interop.tensors import read_json

SETTINGS = "sentence_bert_config.json"
POOLERS = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}  # ours: theirs


@dataclass(frozen=True)
class Modules:
    """What a modules.json says.

    Attributes:
        encoder: the folder of the encoder.
        pooler: "mean" or "cls".
        normalize: embeddings have the length 1.
        most: pieces of a text that are read; 0 where it does not say.
        lowercase: texts are lowercased before the tokenizer sees them.
    """

    encoder: Path
    pooler: str
    normalize: bool
    most: int
    lowercase: bool


def read_modules(folder: Path) -> Modules | None:
    """Reads the folder's modules.json; None where it has none, and is no such folder.

    Raises: UserError for a module or a way of pooling that is not supported.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return None
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        kinds = [str(each["type"]).rpartition(".")[2] for each in modules]
        folders = [folder / each["path"] for each in modules]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot be read as a list of modules ({error})", where=str(path)) from error
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        remedy = "Read are Transformer and Pooling, with or without Normalize behind them."
        raise UserError(f"its modules are {', '.join(kinds)}", where=str(path), remedy=remedy)
    settings = read_json(folders[0] / SETTINGS) if (folders[0] / SETTINGS).is_file() else {}
    return Modules(
        folders[0],
        _pooler(folders[1] / "config.json"),
        normalize=len(kinds) == 3,
        most=int(settings.get("max_seq_length") or 0),
        lowercase=bool(settings.get("do_lower_case")),
    )


def _pooler(path: Path) -> str:
    fields = read_json(path)
    chosen = {name for name, value in fields.items() if name.startswith("pooling_mode_") and value}
    chosen |= {POOLERS.get(mode, mode) for mode in [fields.get("pooling_mode")] if mode}
    found = [ours for ours, theirs in POOLERS.items() if chosen == {theirs}]
    if not found:
        problem = f"pooling by {', '.join(sorted(chosen)) or 'nothing'} is not supported"
        raise UserError(problem, where=str(path), remedy=f"Supported: {' or '.join(POOLERS.values())}, one alone.")
    return found[0]


def write_modules(folder: Path, pooler: str, width: int, normalize: bool, most: int) -> None:
    """Writes what makes the folder of an encoder one of sentence-transformers.

    Args:
        pooler: "mean" or "cls".
        width: D, of the embedding.
    """
    kinds = {"Transformer": "", "Pooling": "1_Pooling", **({"Normalize": "2_Normalize"} if normalize else {})}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(kinds.items())
    ]
    for path in list(kinds.values())[1:]:
        (folder / path).mkdir()
    _write(folder / "modules.json", modules)
    _write(folder / SETTINGS, {"max_seq_length": most, "do_lower_case": False})
    modes = {theirs: ours == pooler for ours, theirs in POOLERS.items()}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
