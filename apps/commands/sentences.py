"""Sentences of a file, and their vectors by an embedder, from a run or a model home."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.data.prepared import fingerprint_of
from zoo.data.readers import open_table
from zoo.data.textfiles import format_of
from zoo.data.vectors import Blocks, Embed, kept_vectors
from zoo.errors import UserError
from zoo.run import Run, cache_folder
from zoo.tasks.embed import Embed as EmbedTask
from zoo.tasks.text_encoder import text_of

TABLES = (".csv", ".tsv", ".jsonl")  # every other file is plain text, a sentence a line


class Sentences(NamedTuple):
    """What a file holds, without the blank ones; labels where they were asked for."""

    path: str
    column: str
    texts: list[str]
    lines: list[int]
    labels: list[str]


class Embedder(NamedTuple):
    """A model that embeds, and a fingerprint of what its vectors depend on."""

    embed: Embed
    fingerprint: str

    def vectors(self, sentences: Sentences) -> Blocks:
        """The vectors of a file's sentences, in blocks float32 [n, D]; made once, then kept below $ZOO_CACHE."""
        fingerprint = fingerprint_of([sentences.path], self.fingerprint, sentences.column)
        return kept_vectors(sentences.texts, self.embed, cache_folder().with_name("vectors") / fingerprint)


def read_sentences(path: str, column: str, labels: str = "") -> Sentences:
    """The sentences of a plain text file, a line each, or in a column of a table.

    Args:
        path: of the file.
        column: of the sentences in a table, by name or number.
        labels: the column with a label for each, in a table; empty: none is read.

    Raises: UserError with its place for what cannot be read, and where no sentence is in the file.
    """
    table = format_of(path) in TABLES
    if labels and not table:
        remedy = f"Give a table, {', '.join(TABLES)}, with a column for the sentences and one for the labels."
        raise UserError("plain text has no column of labels", where=path, remedy=remedy)
    columns = {"text": column, **({"label": labels} if labels else {})}
    found = Sentences(path, column if table else "", [], [], [])
    for values, place in open_table(path if table else {"text": path}, columns):
        try:
            text = text_of(values, "text")
        except UserError as error:
            raise UserError(error.problem, where=place) from error
        if text.strip():
            found.texts.append(text)
            found.lines.append(int(place.rpartition(":")[2]))
            found.labels.extend([str(values["label"])] if labels else [])
    if not found.texts:
        raise UserError("there is no sentence in this file", where=path)
    return found


def open_embedder(path: str) -> Embedder:
    """The embedder of a run (on any backend) or of a model home (on TensorFlow).

    Raises: UserError where the model is of another task.
    """
    if (Path(path) / "recipe.toml").is_file():
        run = Run.open(path)
        task, model = _embeds(run.task, path), run.model()
        weights = hashlib.sha256(repr(model.config).encode())
        for variable in model.weights:
            weights.update(np.ascontiguousarray(variable.numpy()))
        return Embedder(lambda texts: task.embed(model, texts), f"{weights.hexdigest()} {task.fingerprint}")
    from zoo.export.loaded import load

    home = load(path)
    _embeds(home.task, path)

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.array([row["embedding"] for row in home.rows("serving_default", texts)], np.float32)

    parts = (home.folder / name for name in ("saved_model.pb", "variables", "assets"))
    files = sorted(file for part in parts for file in ([part] if part.is_file() else part.glob("*")))
    return Embedder(embed, fingerprint_of(files))


def _embeds(task: Any, path: str) -> EmbedTask:
    if not isinstance(task, EmbedTask):
        remedy = f"Make an embedder of it: zoo embed train --train PAIRS --from {path}"
        raise UserError(
            f"vectors are those of the task embed, and this model is of {task.name}", where=path, remedy=remedy
        )
    return task
