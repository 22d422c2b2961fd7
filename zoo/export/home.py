"""Model homes: folders that TensorFlow Serving takes as base_path, whose versions appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.export import savedmodel, warmup
from zoo.export.audit import audit
from zoo.export.bundle import FORMAT, Bundle, Exported, by_input, empty_like
from zoo.export.card import card
from zoo.export.loaded import Attention, Loaded, load, versions
from zoo.export.operate import batching_parameters, models_config
from zoo.progress import say
from zoo.tasks.task import resolve

__all__ = ["Attention", "Loaded", "export", "load", "models_config", "versions"]

EXTRA = "assets.extra"
TRIED_ALONE = 4  # examples that are answered in a batch and each on its own
Measure = Callable[[Loaded], Mapping[str, Any]]


def export(
    bundle: Bundle, home: Path, storage: str = "float32", version: int | None = None, measure: Measure | None = None
) -> Path:
    """Makes a new version of a model home.

    It is written under another name, audited, asked in a fresh process, compared with the model itself and scored;
    only then does it get its number. Whatever goes wrong before leaves the home as it was.

    Args:
        bundle: what is exported.
        home: the folder of the model; its name is the model's.
        storage: dtype of the stored matrices; computed in float32 whatever it is.
        version: the number; the next free one where None.
        measure: scores of the loaded version, for scores.json and the card.

    Returns: the version's folder.

    Raises: UserError where the number exists, the disk is full, or a check fails.
    """
    home = Path(home)
    number = _number(home, version)
    exported = resolve(bundle.task.exporter)(bundle, storage)
    savedmodel.check_names(bundle.task.signatures(), exported)
    draft = home / f".{number}.{os.getpid()}.partial"
    try:
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home)
        savedmodel.save(exported, draft)
        (draft / EXTRA).mkdir()
        _check(bundle, exported, draft)
        _fill(bundle, exported, draft, home.name, number, measure)
        _sync(draft)
        _publish(draft, home / str(number))
    except Exception as error:
        if not _disk_is_full(error):
            raise
        raise UserError("no space left on the disk; nothing was changed", where=str(home)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):
            home.rmdir()  # which was made for a first version that has not come
    for name in ("README.md", "batching_parameters.txt"):
        _copy(home / str(number) / EXTRA / name, home / name)
    return home / str(number)


def _number(home: Path, version: int | None) -> int:
    if home.exists() and not home.is_dir():
        raise UserError("a model home is a folder, and this is a file", where=str(home))
    taken = versions(home)
    if version is None:
        return (taken[-1] if taken else 0) + 1
    if version < 1:
        raise UserError(f"{version} is no version number", remedy="Take 1 or more, or leave it out.")
    if version in taken:
        remedy = f"Leave --version out to get the next free number, {taken[-1] + 1}."
        raise UserError(f"version {version} exists already", where=str(home), remedy=remedy)
    return version


def _check(bundle: Bundle, exported: Exported, draft: Path) -> None:
    """Asks the new SavedModel in a fresh process, and compares with the model; rows alone with rows together."""
    raws = [*bundle.examples, *map(empty_like, bundle.examples[:1])]
    say("comparing the SavedModel's answers, in a fresh process, with the model's own")
    inputs = {name: by_input(list(each.inputs), raws) for name, each in bundle.task.signatures().items()}
    found = savedmodel.try_in_fresh_process(draft, bundle.task.asked, inputs, alone=TRIED_ALONE)
    savedmodel.check_answers(raws, found["together"], exported.reference(raws), exported.close)
    savedmodel.check_rows(found["together"], found["alone"])
    for name, rows in found["rows"].items():
        if set(rows) != {min(2, len(raws))}:
            raise ValueError(f"signature {name} answers two rows with outputs of {rows} rows.")


def _fill(bundle: Bundle, exported: Exported, draft: Path, name: str, number: int, measure: Measure | None) -> None:
    """Writes all that stands beside the graph."""
    extra, task = draft / EXTRA, bundle.task
    promised = task.signatures()
    warmup.write(extra, name, promised, bundle.examples)
    report = audit(draft, without_python=False)
    savedmodel.check_audit(draft, report)
    recipes.write(bundle.recipe, extra / "recipe.toml")
    task.save(extra / "preprocessor")
    signatures = {key: {**asdict(value), "settled": exported.settled[key]} for key, value in promised.items()}
    described = {"format": FORMAT, "task": task.name, "signatures": signatures, "limits": dict(exported.limits)}
    verdict = {key: value for key, value in report.as_json().items() if key not in ("path", "signatures")}
    _write_json(extra / "signatures.json", {**described, "audit": verdict})
    scores = {**bundle.scores, **(measure(Loaded(draft)) if measure else {})}
    _write_json(extra / "scores.json", scores)
    if bundle.curve:
        shutil.copyfile(bundle.curve, extra / "curve.png")
    (extra / "batching_parameters.txt").write_text(batching_parameters(), encoding="utf-8")
    megabytes = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file()) / 1e6
    text = card(bundle, exported, name, number, scores, megabytes, report)
    (extra / "README.md").write_text(text, encoding="utf-8")
    say(f"{name} version {number}: {megabytes:.1f} MB, {report.verdict}")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sweep(home: Path) -> None:
    """Removes what exports left here that were killed."""
    for path in home.glob(".*.partial"):
        owner = path.name.split(".")[-2]
        try:
            os.kill(int(owner), 0)  # asks whether it lives, and does nothing to it
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OSError):
            continue


def _disk_is_full(error: Exception) -> bool:
    """TensorFlow says it by an error of its own, in words only."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or os.strerror(errno.ENOSPC) in str(error) or os.strerror(errno.EDQUOT) in str(error)


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync_one(path)


def _publish(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise UserError("another export took this number meanwhile", where=str(target)) from error
        raise
    _sync_one(target.parent)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(source: Path, target: Path) -> None:
    """The newest version's file for the home, replaced in one stroke."""
    draft = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, draft)
    draft.replace(target)
