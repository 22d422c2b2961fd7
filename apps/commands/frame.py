"""The commands that every task over tables of text has: check, train, export, evaluate, predict.

A file of `apps/` makes its command line of them by one call; `apps/classify_text.py` shows it.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from apps.cli import (
    Arguments,
    CommandLine,
    backend_argument,
    from_argument,
    on_tensorflow,
    recipe_arguments,
    run_argument,
)


def task_line(task: str, doc: str | None, checked: bool = False, name: str = "", of_files: bool = False) -> CommandLine:
    """The command line of a task.

    Args:
        task: its name, which is that of the file too.
        doc: the file's docstring; --help shows it whole.
        checked: whether the task has labels, which `check` looks at.
        name: of the file, where the task has a file of its own name besides.
        of_files: whether its inputs are files, such as images, and not lines of text.
    """
    app = CommandLine(name or task, doc)

    def schema() -> Any:
        from zoo.tasks.task import find

        return find(task).schema()

    if checked:

        @app.command(_own_data, _columns)
        def check(args: Namespace) -> None:
            """Look at labelled texts: counts of labels, texts with two labels, duplicates, overlap of the parts."""
            from apps.commands.task import check_files

            check_files(args, task)

    @app.command(recipe_arguments(schema), _own_data, _columns, run_argument, from_argument, backend_argument)
    def train(args: Namespace) -> None:
        """Train by a recipe, or on your own table (--train); resumes what was stopped."""
        from apps.commands.task import train_run

        train_run(args, task)

    @app.command(home_arguments, on_tensorflow)
    def export(args: Namespace) -> None:
        """Export a run as a SavedModel from raw text to answers, scored and checked before it appears."""
        from apps.commands.task import export_run

        export_run(args)

    labelled = [_by_label] if checked else []

    @app.command(model_argument, known_set, _test_table, *labelled, on_tensorflow)
    def evaluate(args: Namespace) -> None:
        """Score the exported SavedModel from raw input to final answer, with confidence intervals."""
        from apps.commands.task import evaluate_home

        evaluate_home(args, args.test, checked and args.by_label)

    (_predict_files if of_files else _predict_lines)(app)
    return app


def _predict_lines(app: CommandLine) -> None:
    @app.command(model_argument, lines_arguments("one input a line; several parts of it are divided by tabs"))
    def predict(args: Namespace) -> None:
        """Answer lines, from a model home or (also without TensorFlow) from a run."""
        from apps.commands.task import predict_lines

        predict_lines(args)


def _predict_files(app: CommandLine) -> None:
    @app.command(model_argument, files_arguments)
    def predict(args: Namespace) -> None:
        """Answer files, from a model home or (also without TensorFlow) from a run."""
        from apps.commands.task import predict_files

        predict_files(args)


def _own_data(parser: ArgumentParser) -> None:
    kinds = ".tsv, .csv, .jsonl, and what else the task reads; may be compressed"
    parser.add_argument("--train", metavar="FILE", help=f"your examples: {kinds}")
    parser.add_argument("--validation", metavar="FILE", help="what choices are made on (default: kept back from train)")
    parser.add_argument("--test", metavar="FILE", help="what is scored at the end")


def _columns(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--columns",
        metavar="NAME=COLUMN",
        nargs="+",
        default=[],
        help="where the task's columns are called otherwise in your files; numbers from 0 where there is no header",
    )


def _test_table(parser: ArgumentParser) -> None:
    parser.add_argument("--test", metavar="FILE", help="your own examples, with columns as in training")


def _by_label(parser: ArgumentParser) -> None:
    parser.add_argument("--by-label", action="store_true", help="give the score of each label too")


def known_set(parser: ArgumentParser) -> None:
    """The options --data, --split and --json."""
    parser.add_argument("--data", metavar="NAME", help="a known data set, such as sst2 or multi30k")
    parser.add_argument("--split", metavar="NAME", help="its split, such as dev (default: test)")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def model_argument(parser: ArgumentParser) -> None:
    """The model home or run that is asked."""
    parser.add_argument("model", metavar="HOME_OR_RUN", help="a model home, or the folder of a run")


def column_argument(parser: ArgumentParser) -> None:
    """The option --column, of a file with sentences that may be a table."""
    about = "of the sentences, where the file is .csv, .tsv or .jsonl (default: %(default)s)"
    parser.add_argument("--column", metavar="NAME", default="text", help=about)


def home_arguments(parser: ArgumentParser) -> None:
    """What is exported, and where to."""
    parser.add_argument("run", metavar="RUN", help="the folder of a trained run")
    parser.add_argument("home", metavar="HOME", help="the model home, such as saved_models/NAME")
    parser.add_argument("--version", type=int, metavar="N", help="its number (default: the next free one)")


def files_arguments(parser: ArgumentParser) -> None:
    """The files that are asked about, --output and --backend."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file, or a folder: then every file in it")
    parser.add_argument("--output", metavar="FILE", help="one answer a line (default: standard output)")
    backend_argument(parser)


def lines_arguments(about: str) -> Arguments:
    """The options --input, --output and --backend of a command that answers lines."""

    def add(parser: ArgumentParser) -> None:
        parser.add_argument("--input", metavar="FILE", help=f"{about} (default: standard input)")
        parser.add_argument("--output", metavar="FILE", help="one answer a line (default: standard output)")
        backend_argument(parser)

    return add
