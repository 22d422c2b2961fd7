"""The frame of every command line: `zoo TASK COMMAND …`, which is `python -m apps.TASK COMMAND …`.

A file in this folder is a task of the command line. All it has to write is what is special to it:

    "Translate text: train, evaluate, predict, export."          # the first line stands in `zoo --help`

    from argparse import ArgumentParser, Namespace
    from apps.cli import CommandLine, backend_argument, read_recipe, recipe_arguments, run_argument

    app = CommandLine("translate", __doc__)

    def schema():
        from zoo.tasks.translate import Translate
        return Translate.schema()

    def data_arguments(parser: ArgumentParser) -> None:
        parser.add_argument("--source", metavar="FILE", help="sentences of the source language, one a line")

    @app.command(recipe_arguments(schema), data_arguments, run_argument, backend_argument)
    def train(args: Namespace) -> None:
        "Train a translator."                                    # the first line stands in `zoo translate --help`
        from zoo.run import train                                # Keras comes in here, not before

        train(read_recipe(args, "translate", schema()), args.run)

    main = app.main
    if __name__ == "__main__":
        raise SystemExit(main())

What the frame does around a command: it chooses the Keras backend before Keras is first imported, prints a UserError
without its traceback, and leaves with exit code 2 for that, 130 after Ctrl-C, 0 when all went well.
"""

import argparse
import ast
import errno
import os
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import Any

from zoo import progress
from zoo.errors import UserError, nearest
from zoo.recipe import Recipe, Schema, describe, find, peek_task, read

BACKENDS = ("tensorflow", "jax", "torch")

Command = Callable[[Namespace], int | None]
Arguments = Callable[[ArgumentParser], None]  # adds the options of a command to its parser

_EXTRAS = {"tensorflow": "tensorflow", "tensorflow_text": "tensorflow", "jax": "jax", "torch": "torch"}


class CommandLine:
    """The command line of one file: either several commands, or one function alone.

    Args:
        name: the file's name, without .py.
        doc: the file's docstring; --help shows it whole.
    """

    def __init__(self, name: str, doc: str | None) -> None:
        script = Path(sys.argv[0]).stem == "zoo"
        self.parser = _Parser(prog=f"zoo {name}" if script else f"python -m apps.{name}", description=doc)
        self._commands: argparse._SubParsersAction[_Parser] | None = None

    @property
    def commands(self) -> list[str]:
        """The names of its commands."""
        return list(self._commands.choices) if self._commands else []

    def command(self, *arguments: Arguments) -> Callable[[Command], Command]:
        """Makes a function a command of its name; its docstring is the help, `arguments` add its options."""

        def register(function: Command) -> Command:
            if self._commands is None:
                self._commands = self.parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
            doc = cleandoc(function.__doc__ or "")
            name = function.__name__.rstrip("_").replace("_", "-")
            self._fill(self._commands.add_parser(name, help=_first_line(doc), description=doc), function, arguments)
            return function

        return register

    def alone(self, *arguments: Arguments) -> Callable[[Command], Command]:
        """Makes a function all that the file does, with no command to name."""

        def register(function: Command) -> Command:
            self._fill(self.parser, function, arguments)
            return function

        return register

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs what the arguments ask for and returns the exit code."""
        return guarded(lambda: _run(self.parser.parse_args(argv)))

    @staticmethod
    def _fill(parser: "_Parser", function: Command, arguments: Sequence[Arguments]) -> None:
        for add in arguments:
            add(parser)
        parser.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
        parser.set_defaults(function=function)


class _Parser(ArgumentParser):
    """argparse's own, with docstrings left as they are laid out and a tail that is made only when help is shown."""

    tail: Callable[[], str] | None = None

    def __init__(self, *, description: str | None, **kwargs: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=formatter, allow_abbrev=False, **kwargs)

    def format_help(self) -> str:
        return super().format_help() + (f"\n{self.tail()}\n" if self.tail else "")


def set_argument(parser: ArgumentParser) -> None:
    """The option --set, in the namespace as `overrides`."""
    parser.add_argument(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        dest="overrides",
        action="append",
        default=[],
        help="set a field of the recipe, such as training.steps=500; may be repeated",
    )


def recipe_arguments(schema: Callable[[], Schema]) -> Arguments:
    """The options --recipe and --set; --help ends with every field of the recipe. `schema` is called only then."""

    def add(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--recipe", metavar="NAME", help="a recipe that comes with zoo, or the path of a .toml file"
        )
        set_argument(parser)
        if isinstance(parser, _Parser):
            parser.tail = lambda: f"fields of the recipe:\n\n{describe(schema())}"

    return add


def read_recipe(args: Namespace, task: str, schema: Schema) -> Recipe:
    """The recipe that --recipe names, with what --set changes.

    Raises: UserError where there is none, it is for another task, or holds a mistake.
    """
    if not args.recipe:
        raise UserError("no recipe was named.", remedy="Give one by --recipe; --help lists what it may hold.")
    path = find(task, args.recipe)
    if peek_task(path) != task:
        raise UserError(f'this recipe is for the task "{peek_task(path)}", not "{task}".', where=str(path))
    return read(path, schema, args.overrides)


def run_argument(parser: ArgumentParser) -> None:
    """The option --run."""
    parser.add_argument("--run", metavar="FOLDER", help="the run's folder (default: runs/NAME); one begun is resumed")


def from_argument(parser: ArgumentParser) -> None:
    """The option --from, in the namespace as `start_from`."""
    parser.add_argument("--from", metavar="HOME_OR_RUN", dest="start_from", help="go on from weights that exist")


def backend_argument(parser: ArgumentParser) -> None:
    """The option --backend, for commands that run on any backend."""
    help = "what Keras computes with (default: $KERAS_BACKEND, else the best that is installed)"
    parser.add_argument("--backend", choices=BACKENDS, help=help)


def on_tensorflow(parser: ArgumentParser) -> None:
    """No option: the command runs on TensorFlow, whatever the environment says; for export and SavedModels."""
    parser.set_defaults(backend="tensorflow")


def choose_backend(backend: str | None = None) -> str:
    """Sets the backend that Keras will start with, and returns it.

    Without a wish it is $KERAS_BACKEND, else JAX where it can use a GPU, else the first installed of TensorFlow
    (the fastest to train with on a CPU), JAX and PyTorch.

    Raises: UserError where it is not installed, or where Keras already runs on another one.
    """
    wish = backend or os.environ.get("KERAS_BACKEND")
    backend = wish or _best_backend()
    if wish and (backend not in BACKENDS or not find_spec(backend)):
        remedy = f'pip install ".[{backend}]"' if backend in BACKENDS else f"Known: {', '.join(BACKENDS)}."
        raise UserError(f"the Keras backend {backend} is not installed.", remedy=remedy)
    if "keras" in sys.modules and sys.modules["keras"].config.backend() != backend:
        raise UserError(f"Keras already runs in this process, and not on {backend}.", remedy="Use a fresh process.")
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else TensorFlow greets with a dozen lines
    return backend


def _best_backend() -> str:
    cuda = any(find_spec(name) for name in ("jax_cuda12_plugin", "jax_cuda13_plugin"))
    if cuda and shutil.which("nvidia-smi"):
        return "jax"
    return next((each for each in BACKENDS if find_spec(each)), BACKENDS[0])


def _run(args: Namespace) -> int:
    progress.be_quiet(args.quiet)
    choose_backend(getattr(args, "backend", None))
    code = args.function(args)
    sys.stdout.flush()  # a reader that has gone away is noticed here, and not when Python ends
    return code or 0


def guarded(work: Callable[[], int]) -> int:
    """Runs a command and turns what the user can mend, or has asked for, into a message and an exit code."""
    try:
        return work()
    except UserError as error:
        return _failed(error)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        return _failed(UserError(f"{error.name} is not installed.", remedy=f'pip install ".[{_EXTRAS[error.name]}]"'))
    except BrokenPipeError:
        # The reader of our output (head, less) has left: nobody is there to tell. Python would, when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        remedy = "Free some, then start the same command again."
        return _failed(UserError("no space left on the disk.", where=str(error.filename or ""), remedy=remedy))
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return 128 + 2


def _failed(error: UserError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


def tasks() -> dict[str, str]:
    """File name -> first line of the docstring, for every command line in this folder; none is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in ("__init__", "cli"):
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            found[path.stem] = _first_line(doc or "")
    return found


def _first_line(doc: str) -> str:
    return doc.strip().partition("\n")[0]


def main(argv: Sequence[str] | None = None) -> int:
    """The console script `zoo`: hands the rest of the line to the file that its first word names."""
    known = tasks()
    width = max(map(len, known), default=0)
    listing = "\n".join(f"  {name.ljust(width)}  {line}" for name, line in known.items())
    parser = _Parser(prog="zoo", description=f"Train transformers on your own data and serve them.\n\n{listing}")
    parser.add_argument("task", metavar="TASK", help="one of the above; `zoo TASK --help` says more")
    parser.add_argument("rest", metavar="…", nargs=argparse.REMAINDER, help="its command and options")
    args = parser.parse_args(argv)
    name = args.task.replace("-", "_")
    if name not in known:
        return _failed(
            UserError(f'unknown task "{args.task}".{nearest(name, known)}', remedy="`zoo --help` lists all.")
        )
    return int(import_module(f"apps.{name}").main(args.rest))


if __name__ == "__main__":
    raise SystemExit(main())
