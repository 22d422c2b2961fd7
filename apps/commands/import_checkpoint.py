"""What `python -m apps.import_checkpoint` does, behind its options."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from zoo.errors import UserError
from zoo.interop import huggingface, keras_hub
from zoo.interop.run_folder import write_run
from zoo.progress import say
from zoo.run import environment


def import_into_run(args: Namespace) -> None:
    """Reads the checkpoint, writes the run, and says what became of it."""
    if Path(args.run).exists():
        raise UserError("this folder is there already", where=args.run, remedy="Name a new one.")
    if keras_hub.is_preset(Path(args.path)):
        imported = keras_hub.read(args.path, args.task)
    else:
        imported = huggingface.read(args.path, args.task)
    recipe = write_run(imported, args.run, environment(), args.overrides)
    count = sum(array.size for array in imported.weights.values())
    say(f"{imported.about['architecture']}, {count:,} weights, for the task {recipe.task}: {args.run}")
    if imported.labels:
        say(f"labels: {', '.join(imported.labels)}")
    if imported.about["left_out"]:
        say(f"left out, since nothing reads them: {', '.join(imported.about['left_out'])}")
