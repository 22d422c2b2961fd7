"""Translate text: train on your own sentence pairs, score, export, ask.

zoo translate check   --source my.en --target my.de      what is in the files, before any long work
zoo translate train   --source my.en --target my.de      a recipe is written for them, and trained
zoo translate export   runs/my saved_models/my           a SavedModel that takes and answers strings
zoo translate evaluate saved_models/my --source test.en --reference test.de
echo "A dog runs." | zoo translate predict saved_models/my
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.cli import (
    CommandLine,
    backend_argument,
    from_argument,
    on_tensorflow,
    recipe_arguments,
    run_argument,
)
from apps.commands.frame import home_arguments, known_set, lines_arguments, model_argument

app = CommandLine("translate", __doc__)


def _schema():
    from zoo.tasks.translate import Translate

    return Translate.schema()


def _pairs(parser: ArgumentParser) -> None:
    parser.add_argument("--source", metavar="FILE", help="sentences to translate from, one a line; may be compressed")
    parser.add_argument("--target", metavar="FILE", help="their translations, line by line")


def _test_set(parser: ArgumentParser) -> None:
    parser.add_argument("--source", metavar="FILE", help="sentences to translate, one a line")
    parser.add_argument("--reference", metavar="FILE", help="their right translations, line by line")


def _n_best(parser: ArgumentParser) -> None:
    parser.add_argument("--n-best", action="store_true", help="all hypotheses: line number, score, text, with tabs")


def _picture(parser: ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="the sentence to translate")
    parser.add_argument("--output", metavar="FILE", default="attention.png", help="the picture (default: %(default)s)")


@app.command(_pairs)
def check(args: Namespace) -> None:
    """Look at sentence pairs: duplicates, empty sides, odd encodings, wrong language, lengths."""
    from apps.commands.translate import check_files

    check_files(args)


@app.command(recipe_arguments(_schema), _pairs, run_argument, from_argument, backend_argument)
def train(args: Namespace) -> None:
    """Train a translator by a recipe, or on your own files (--source and --target); resumes what was stopped."""
    from apps.commands.translate import train_run

    train_run(args)


@app.command(home_arguments, on_tensorflow)
def export(args: Namespace) -> None:
    """Export a run as a SavedModel that takes and answers strings, scored and checked before it appears."""
    from apps.commands.task import export_run

    export_run(args)


@app.command(model_argument, known_set, _test_set, on_tensorflow)
def evaluate(args: Namespace) -> None:
    """Score the exported SavedModel from raw text to raw text: BLEU, chrF, with confidence intervals."""
    from apps.commands.translate import evaluate_home

    evaluate_home(args)


@app.command(model_argument, lines_arguments("one text a line"), _n_best)
def predict(args: Namespace) -> None:
    """Translate lines, from a model home or (also without TensorFlow) from a run."""
    from apps.commands.translate import predict_lines

    predict_lines(args)


@app.command(model_argument, _picture, on_tensorflow)
def attention(args: Namespace) -> None:
    """Draw what each word of a translation attended to."""
    from apps.commands.translate import draw

    draw(args)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
