"""The audit of what a SavedModel answers: its warm-up, rows in a batch and alone, with Python and without."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.export import loader, warmup
from zoo.export.audit_rules import BY_RUNNING, Finding
from zoo.export.audit_signatures import signatures
from zoo.export.warmup import Request

ROWS = 8  # that are answered together and alone
TOLERANCE = 1e-4  # of floats: sums are taken in another order
TIMEOUT_MS = 300_000  # of one request: the first of a signature includes what is done only once
TEXTS = (b"", b"a", b"Hello, world!", "Größe 1,5 \N{THUMBS UP SIGN}".encode())

Arrays = Mapping[str, np.ndarray]


class _Failed(Exception):
    """What TensorFlow said about a request."""


Ask = Callable[[Request], Arrays]  # raises _Failed


class Trial:
    """Asks a SavedModel, and keeps what speaks against it in `findings`, what was proved in `proved`.

    Rules that nobody came to look at, since something failed before, stay in `not_asked`.

    Args:
        folder: the version's folder.
        random: signatures whose answers are drawn at random and not compared.
    """

    def __init__(self, folder: Path, random: Collection[str]) -> None:
        self._folder, self._random = folder, random
        self.findings: list[Finding] = []
        self.proved: list[str] = []
        self.not_asked = set(BY_RUNNING)

    def run(self, without_python: bool) -> None:
        """Does all of it; `without_python` leaves the C++ program out where it is False."""
        path = self._folder / "assets.extra" / warmup.FILE
        try:
            requests = list(warmup.read_requests(path)) if path.is_file() else []
        except ValueError as error:
            self._find("warm-up", str(error), path.name)
            return
        if not requests:
            self._find("no-warm-up", "it brings no warm-up requests", str(path.relative_to(self._folder)))
        self.not_asked -= {"warm-up", "no-warm-up"}
        try:
            with _session(self._folder) as (ask, meta_graph):
                self.not_asked -= {"loads", "neighbours", "unproved"}
                asked = signatures(meta_graph)
                for name, signature in asked.items():
                    self._prove_signature(ask, name, signature, [each for each in requests if each.signature == name])
                if requests:
                    answered = self._warm_up(ask, requests)
                else:
                    answered = _answer([made for name in asked if (made := _made(name, asked[name]))], ask)
        except _Failed as error:
            self._find("loads", str(error), str(self._folder))
            return
        if without_python and len(answered) >= len(requests):
            self._compare_without_python(path if requests else None, answered)

    def _find(self, rule: str, what: str, where: str) -> None:
        self.findings.append(Finding(rule, what, where))

    def _warm_up(self, ask: Ask, requests: Sequence[Request]) -> list[tuple[Request, Arrays]]:
        """The requests that are answered, and the answers."""
        answered = []
        for number, request in enumerate(requests):
            try:
                answered.append((request, ask(request)))
            except _Failed as error:
                self._find("warm-up", f"it fails: {error}", f"request {number}, signature {request.signature}")
        if len(answered) == len(requests):
            self.proved.append(f"{len(answered)} warm-up requests are answered")
        return answered

    def _prove_signature(self, ask: Ask, name: str, signature: Any, requests: Sequence[Request]) -> None:
        """Answers rows in a batch, then each alone."""
        where = f"signature {name}"
        rows, failing = _rows(requests), ("neighbours", "rows of its warm-up requests fail, together or alone")
        if len(rows) < 2 and (made := _made(name, signature)):
            rows, failing = _rows([made]), ("unproved", "the request made up for it fails")
        if len(rows) < 2:
            self._find("unproved", "its inputs have no batch", where)
            return
        try:
            together = ask(Request(name, {key: np.stack([row[key] for row in rows]) for key in rows[0]}))
            alone = [ask(Request(name, {key: value[None] for key, value in row.items()})) for row in rows]
        except _Failed as error:
            self._find(failing[0], f"{failing[1]}: {error}", where)
            return
        if self._has_rows(together, len(rows), where) and name not in self._random:
            problem = next(filter(None, map(_difference, _each_row(together), map(_first_row, alone))), "")
            if problem:
                self._find("neighbours", problem, where)
            else:
                self.proved.append(f"{where}: {len(rows)} rows have the same answers in a batch and alone")

    def _has_rows(self, outputs: Arrays, rows: int, where: str) -> bool:
        """Looks at the outputs of a batch: rows, and text that is text."""
        whole = True
        for name, value in outputs.items():
            if value.shape[:1] != (rows,):
                self._find("batch", f"{rows} rows are answered by shape {list(value.shape)}", f"{where}, output {name}")
                whole = False
            if value.dtype == object and not name.endswith("_bytes") and not all(map(_is_text, value.flat)):
                self._find("json", "it is not UTF-8, and its name does not end in _bytes", f"{where}, output {name}")
        return whole

    def _compare_without_python(self, path: Path | None, answered: Sequence[tuple[Request, Arrays]]) -> None:
        """Asks the same of the C++ program, whose answers have to be the same to the last bit.

        Args:
            path: a file with these requests, where there is one.
        """
        with TemporaryDirectory() as scratch:
            file = path or Path(scratch) / warmup.FILE
            if not path:
                warmup.write_requests(file, self._folder.parent.name, (request for request, _ in answered))
            try:
                replayed = loader.replay(self._folder, file)
            except UserError as error:
                self._find("not-replayed", error.problem, "the loader without Python")
                return
        self.not_asked -= {"no-python", "not-replayed"}
        if replayed.error:
            where = f"request {len(replayed.answers)}" if len(replayed.milliseconds) > 1 else "load"
            self._find("no-python", f"it fails: {replayed.error}", where)
            return
        compared = 0
        for number, ((request, ours), theirs) in enumerate(zip(answered, replayed.answers, strict=True)):
            if request.signature in self._random:
                continue
            compared += 1
            if not _identical(ours, theirs):
                self._find("no-python", "it answers otherwise", f"request {number}, signature {request.signature}")
        if not any(each.rule == "no-python" for each in self.findings):
            self.proved.append(f"{compared} requests have the same answers without Python, to the last bit")


@contextmanager
def _session(folder: Path) -> Iterator[tuple[Ask, Any]]:
    """A function that answers a request, by the very graph that the server runs, and the MetaGraphDef."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops)

    v1, logger = tf.compat.v1, tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the loader for sessions calls itself deprecated
    processor = v1.ConfigProto(device_count={"GPU": 0})  # as in the program without Python: to the last bit
    try:
        with v1.Session(graph=tf.Graph(), config=processor) as session:
            try:
                meta_graph = v1.saved_model.load(session, [v1.saved_model.tag_constants.SERVING], str(folder))
            except Exception as error:  # noqa: BLE001 - plain exceptions of several kinds, whatever is wrong with it
                raise _Failed(_short(error)) from None

            def ask(request: Request) -> Arrays:
                signature = meta_graph.signature_def.get(request.signature)
                if signature is None:
                    raise _Failed(f"there is no signature {request.signature}")
                if signature.inputs.keys() != request.inputs.keys():
                    raise _Failed(f"the inputs are {sorted(signature.inputs)}, and {sorted(request.inputs)} are given")
                wanted = request.outputs or sorted(signature.outputs)
                try:
                    fetches = {name: signature.outputs[name].name for name in wanted}
                    feeds = {signature.inputs[name].name: value for name, value in request.inputs.items()}
                    values = session.run(fetches, feeds, v1.RunOptions(timeout_in_ms=TIMEOUT_MS))
                    return {name: np.asarray(value) for name, value in values.items()}
                except (tf.errors.OpError, ValueError, TypeError, KeyError) as error:
                    raise _Failed(_short(error)) from None

            yield ask, meta_graph
    finally:
        logger.setLevel(level)


def _short(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", error)).split())[:300]


def _rows(requests: Sequence[Request]) -> list[dict[str, np.ndarray]]:
    """Different rows that may share a batch, first and last of what there are among them."""
    groups: dict[Any, dict[Any, dict[str, np.ndarray]]] = defaultdict(dict)
    for request in requests:
        sizes = {value.shape[0] if value.ndim else None for value in request.inputs.values()}
        if len(sizes) == 1 and None not in sizes:
            for index in range(sizes.pop()):
                row = {name: np.asarray(value[index]) for name, value in request.inputs.items()}
                content = str({name: value.tolist() for name, value in row.items()})
                groups[tuple((name, value.shape) for name, value in row.items())][content] = row
    rows = list(max(groups.values(), key=len, default={}).values())
    chosen = sorted({round(place) for place in np.linspace(0, len(rows) - 1, ROWS)}) if rows else []
    return [rows[index] for index in chosen]


def _answer(requests: Sequence[Request], ask: Ask) -> list[tuple[Request, Arrays]]:
    """Those of some requests, made up, that are answered, and the answers."""
    answered = []
    for request in requests:
        with suppress(_Failed):
            answered.append((request, ask(request)))
    return answered


def _made(name: str, signature: Any) -> Request | None:
    """A request of a few rows, made up from what a signature declares; None where it declares no batch."""
    infos = signature.inputs
    if not infos or any(not info.tensor_shape.dim or info.tensor_shape.dim[0].size != -1 for info in infos.values()):
        return None
    return Request(name, {key: _values(info) for key, info in infos.items()})


def _values(info: Any) -> np.ndarray:
    import tensorflow as tf

    shape = [len(TEXTS), *(dim.size if dim.size >= 0 else 2 for dim in info.tensor_shape.dim[1:])]
    dtype, count = tf.as_dtype(info.dtype), int(np.prod(shape))
    if dtype == tf.string:
        values = np.array([TEXTS[index % len(TEXTS)] for index in range(count)], object)
    elif dtype.is_floating:
        values = np.random.default_rng(0).normal(size=count)
    else:
        values = np.arange(count) % 3  # ids as small as may be, or False and True
    return values.reshape(shape).astype(dtype.as_numpy_dtype)


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _each_row(outputs: Arrays) -> Iterator[Arrays]:
    for row in zip(*outputs.values(), strict=True):
        yield dict(zip(outputs, map(np.asarray, row), strict=True))


def _first_row(outputs: Arrays) -> Arrays:
    return {name: np.asarray(value[0]) if value.shape[:1] == (1,) else value for name, value in outputs.items()}


def _difference(together: Arrays, alone: Arrays) -> str:
    """What differs between the answers of a row in a batch and alone; "" where nothing does.

    A batch is padded to its widest row: what stands past the answer of the row alone must be one value, the padding.
    """
    for name, value in alone.items():
        other = together[name]
        if other.ndim == value.ndim:
            common = tuple(slice(0, min(sizes)) for sizes in zip(other.shape, value.shape, strict=True))
            padding = np.ones(other.shape, bool)
            padding[common] = False
            if _alike(other[common], value[common]) and len(set(other[padding].tolist())) < 2:
                continue
        return f"the output {name} of a row is {_shown(other)} in a batch and {_shown(value)} alone"
    return ""


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.kind == "f":
        return np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return np.array_equal(a, b)


def _identical(ours: Arrays, theirs: Arrays) -> bool:
    return ours.keys() == theirs.keys() and all(
        value.dtype == theirs[name].dtype and np.array_equal(value, theirs[name], equal_nan=value.dtype.kind == "f")
        for name, value in ours.items()
    )


def _shown(value: np.ndarray) -> str:
    return str(value.tolist())[:100]
