"""What the commands of every task do, behind their options."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from apps.cli import read_recipe
from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.recipe import Recipe
from zoo.run import Run, Start
from zoo.tasks.task import Task, find

LOOKED_AT = 2000  # rows of the user's file that tell how long its texts are
LEAST_UPDATES = 200
FILES_AT_ONCE = 256  # that are held in memory


def check_files(args: Namespace, task: str) -> None:
    """Prints what is found in the user's labelled files."""
    from zoo.data.check import render
    from zoo.data.check_labels import check_labelled
    from zoo.data.choices import open_part

    if not args.train:
        raise UserError("--train is missing", remedy="Name the file with your examples.")
    made = _draft(task, {"data": {"columns": columns_of(args.columns)}})
    choices = replace(made.recipe.data, **{part: getattr(args, part) or "" for part in PARTS})
    tables = [open_part(choices, part, made.columns) if getattr(args, part) else None for part in PARTS]
    print(render(check_labelled(*tables, inputs=made.columns[:-1], answer=made.columns[-1])))


def train_run(args: Namespace, task: str) -> None:
    """Trains, or goes on with, the run of a recipe or of the user's own files."""
    from zoo.train import starting_point, train

    start = starting_point(args.start_from) if args.start_from else None
    schema = find(task).schema()
    if not args.train and (alone := [name for name in ("validation", "test", "columns") if getattr(args, name)]):
        raise UserError(
            f"--{alone[0]} goes with --train", remedy="A recipe names its files in [data]; --set changes it."
        )
    recipe = own_recipe(args, task, start) if args.train else read_recipe(args, task, schema)
    if start:
        recipe = with_model_of(recipe, start, args.overrides)
    run = Run(Path(args.run or Path("runs") / recipe.name), recipe)
    train(run, start_from=start)
    say_next(task, run)


def say_next(task: str, run: Run) -> None:
    """What was done, and what to type next."""
    print(f"trained: {run.folder}")
    print(f"next: zoo {task} export {run.folder} saved_models/{run.recipe.name}")


def own_recipe(args: Namespace, task: str, start: Start | None) -> Recipe:
    """The recipe for the user's own table: the one that the run has already, or one made for it.

    Raises: UserError where --recipe is given as well, or --columns cannot be read.
    """
    schema = find(task).schema()
    if args.recipe:
        raise UserError("--recipe and --train exclude each other", remedy="Name the files in the recipe's [data].")
    name = Path(args.train).name.split(".")[0]
    tables: dict[str, dict[str, Any]] = {"data": {"columns": columns_of(args.columns)}}
    columns = _draft(task, tables).columns
    tables["data"] |= {part: table_of(value, columns) for part in PARTS if (value := getattr(args, part))}
    path = Path(args.run or Path("runs") / name) / "recipe.toml"
    if path.is_file():
        return _same_files(recipes.read(path, schema, args.overrides), tables["data"], path)
    plan = find(task).own
    if start is None:
        tables |= {section: dict(fields) for section, fields in plan.alone.items()}
    known = ("data.", "preprocessing.", "model.", "training.budget")
    draft = _draft(task, tables, [each for each in args.overrides if each.startswith(known)])
    rows, room = _look(draft)
    updates = max(LEAST_UPDATES, round(plan.epochs * rows * room / draft.recipe.training.budget))
    tables["training"] = {**tables.get("training", {}), "steps": updates, "warmup": updates // 10}
    header = f"Made for {args.train}: {rows:,} rows; {plan.epochs} times through them."
    return recipes.made(task, name, header, tables, schema, args.overrides)


PARTS = ("train", "validation", "test")


def _same_files(recipe: Recipe, data: dict[str, Any], path: Path) -> Recipe:
    """The recipe of a run that is there already, for the files that were given now.

    Raises: UserError where it was made for others.
    """
    for part in PARTS:
        if getattr(recipe.data, part) != data.get(part, ""):
            raise UserError(
                f"this run was made for {getattr(recipe.data, part) or 'nothing'} as {part}, "
                f"and {data.get(part) or 'nothing'} is given now",
                where=str(path),
                remedy="Choose another folder by --run.",
            )
    return recipe


def _draft(task: str, tables: dict[str, dict[str, Any]], overrides: Sequence[str] = ()) -> Task:
    """The task of a recipe that is still being made."""
    return find(task)(recipes.made(task, "draft", "", tables, find(task).schema(), overrides))


def table_of(path: str, columns: Sequence[str]) -> str | dict[str, str]:
    """The user's file as [data] names it: a table, or the plain text of a task with one column."""
    from zoo.data.textfiles import format_of

    whole = str(Path(path).resolve())
    return {columns[0]: whole} if len(columns) == 1 and format_of(Path(path)) in ("", ".txt") else whole


def columns_of(named: Sequence[str]) -> dict[str, str]:
    """--columns text=sentence label=0 as a table.

    Raises: UserError for what is not NAME=COLUMN.
    """
    pairs = [each.partition("=") for each in named]
    for name, _, column in pairs:
        if not (name and column):
            raise UserError(f'"{name}" is not NAME=COLUMN', where="--columns", remedy="For example text=sentence.")
    return {name: column for name, _, column in pairs}


def _look(task: Task) -> tuple[int, float]:
    """Rows of the training data, and the positions that one takes, on average."""
    from zoo.data.choices import open_part

    table = open_part(task.recipe.data, "train", task.columns)
    sizes = [task.room(example.values) for example in islice(table, LOOKED_AT)]
    rows = len(sizes) if len(sizes) < LOOKED_AT else table.rows or sum(1 for _ in table)
    return rows, sum(sizes) / max(len(sizes), 1)


def with_model_of(recipe: Recipe, start: Start, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe with the model and the subwords of what it starts from.

    What a fine-tuning may choose anew stays as the recipe has it, rates of dropout, and whatever --set says of [model];
    where that does not go with the weights, the task refuses it.
    """
    theirs, ours = start.recipe.model, recipe.model
    changes = theirs.to_fields()
    for name in ("head", "classes"):
        changes.pop(name, None)
    said = {each.partition("=")[0].removeprefix("model.") for each in overrides if each.startswith("model.")}
    kept = [each.name for each in fields(ours.config) if "dropout" in each.name or each.name in said]
    changes |= {name: getattr(ours, name) for name in kept}
    sections = {**recipe.sections, "model": type(ours).from_fields(changes)}
    sections["preprocessing"] = replace(recipe.preprocessing, **asdict(start.recipe.preprocessing))
    return replace(recipe, sections=sections)


def export_run(args: Namespace) -> None:
    """Exports a run, with the scores of its test set."""
    from apps.commands.export import export_run as export

    folder = export(Run.open(args.run), Path(args.home), version=args.version)
    print(f"exported: {folder}")
    print(f"next: python -m apps.serve {Path(args.home).parent}")


def evaluate_home(args: Namespace, files: Any = None, by_label: bool = False) -> None:
    """Prints the scores of an exported model on a test set.

    Args:
        files: the user's table, or a file for each column of the task; None: --data names a known set.
        by_label: those of each label too.
    """
    from zoo.export.loaded import load
    from zoo.export.scores import TestSet, measure

    model = load(args.model)
    if args.data and files:
        raise UserError("--data and your own files exclude each other")
    if args.data:
        test = TestSet.of_data(args.data, args.split or "test", model.task)
    elif files:
        own = table_of(files, model.task.columns) if isinstance(files, str) else files
        test = TestSet.of_files(own, model.task)
    else:
        raise UserError("no test set is named", remedy="Give --data and --split, or your own file; see --help.")
    scores = measure(model, test, by_label)
    if args.json:
        print(json.dumps([score.to_json() for score in scores], indent=2))
        return
    for score in scores:
        print(f"{score}\n  {score.signature}")
    for line in model.task.advice(lambda signature: model.rows(signature, test.raws), test.references):
        print(line)


def predict_lines(args: Namespace) -> None:
    """One answer a line. Where an input has several parts they stand in one line, divided by tabs."""
    answers = answerer(args.model)
    with output(args.output) as file:
        for answer in answers(lines(args.input)):
            print(told(answer), file=file)


def predict_files(args: Namespace) -> None:
    """A line for each file: its path, a tab, the answer."""
    files = [each for path in args.files for each in _files(Path(path))]
    _, answers = answering(args.model)
    with output(args.output) as file:
        for first in range(0, len(files), FILES_AT_ONCE):
            some = files[first : first + FILES_AT_ONCE]
            for path, answer in zip(some, answers([path.read_bytes() for path in some]), strict=True):
                print(f"{path}\t{told(answer)}", file=file)


def _files(path: Path) -> list[Path]:
    """The file, or those of a folder, hidden ones left out."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
    if not path.is_file():
        raise UserError("there is no such file", where=str(path))
    return [path]


def answerer(path: str) -> Any:
    """Lines -> answers, by a run or a model home."""
    task, answers = answering(path)
    return lambda given: answers(list(raws(given, task)))


def answering(path: str) -> tuple[Task, Callable[[list[Any]], list[Any]]]:
    """The task of a run or a model home, and raw inputs -> answers by it."""
    if (Path(path) / "checkpoints").is_dir():
        run = Run.open(path)
        model = run.model()
        return run.task, lambda raws: run.task.predict(model, raws)
    from zoo.export.loaded import load

    home = load(path)
    return home.task, home


def raws(given: Iterable[str], task: Task) -> Iterator[Any]:
    """Lines as raw inputs of the task.

    Raises: UserError with its number for a line with too few or too many parts.
    """
    names = list(task.signatures()[task.asked].inputs)
    for number, line in enumerate(given, 1):
        parts = tuple(line.split("\t")) if len(names) > 1 else (line,)
        if len(parts) != len(names):
            problem = f"{len(parts)} parts where {len(names)} are expected: {', '.join(names)}, divided by tabs"
            raise UserError(problem, where=f"line {number}")
        yield parts[0] if len(parts) == 1 else parts


def told(answer: Any) -> str:
    """An answer as a line: texts as they are, numbers with four digits, all else as JSON."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, float):
        return f"{answer:.4f}"
    return json.dumps(_plain(answer), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def lines(path: str | None) -> list[str]:
    """Lines of a file or of standard input; a line of invalid UTF-8 is read with its bytes replaced."""
    try:
        data = Path(path).read_bytes() if path else sys.stdin.buffer.read()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path)) from error
    return data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []


@contextmanager
def output(path: str | None) -> Iterator[Any]:
    """The file of a path, or standard output."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            yield file
        return
    yield sys.stdout
    sys.stdout.flush()
