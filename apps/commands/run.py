"""What `make run` shows, step by step."""

from __future__ import annotations

import json
import shutil
import time
from argparse import Namespace
from pathlib import Path

import httpx

from apps.commands.export import export_run
from apps.commands.translate import draw
from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.export.loaded import load
from zoo.run import Run
from zoo.serving.server import start
from zoo.tasks.translate import Translate
from zoo.train import train

SHIPPED = Path("saved_models/multi30k-en-de")
ASKED = (
    "The child sees an old dog in the garden.",
    "The woman that the men thank is happy because she finds a big book.",
)
REAL = (
    "A man in a blue shirt is standing on a ladder cleaning a window.",
    "Two young girls are playing in the snow with their dog.",
)


def show(args: Namespace) -> None:
    """Trains, scores, exports, serves, asks and draws; then translates real sentences."""
    started = time.monotonic()
    folder = Path(args.folder)
    _clear(folder)
    recipe = recipes.read(recipes.find("translate", args.recipe), Translate.schema())

    _title("1. Train a translator on generated sentences")
    run = Run(folder / "run", recipe)
    train(run)

    _title("2. Export it as a SavedModel that takes and answers strings, scored on unseen sentences")
    home = folder / "saved_models" / recipe.name
    version = export_run(run, home)
    for score in json.loads((version / "assets.extra" / "scores.json").read_text(encoding="utf-8"))["scores"]:
        print(f"{score['name']} {score['value']:.2f}")

    _title("3. Serve it, and ask over HTTP with TensorFlow Serving's own JSON")
    with start(home.parent) as server:
        url = f"{server.url}/v1/models/{recipe.name}:predict"
        request = {"instances": list(ASKED)}
        print(f"curl -d '{json.dumps(request)}' \\\n     {url}")
        reply = httpx.post(url, json=request, timeout=60).raise_for_status()
        print(reply.text)

    _title("4. Look inside")
    picture = folder / "attention.png"
    draw(Namespace(model=str(home), text=ASKED[1], output=str(picture)))
    print(f"learning curve: {run.folder / 'curve.png'}\nattention:      {picture}")

    _title("5. Real sentences")
    _translate_real([args.text] if args.text else list(REAL))

    _title(f"Done in {time.monotonic() - started:.0f} seconds. Now your own data")
    print("zoo translate check --source my.en --target my.de     # what is in the files?")
    print("zoo translate train --source my.en --target my.de     # a recipe is made for them, and trained")
    print("zoo translate export runs/my saved_models/my          # a SavedModel for TensorFlow Serving")
    print("zoo serve saved_models                                # or the server that comes with zoo")


def _translate_real(texts: list[str]) -> None:
    if not SHIPPED.is_dir():
        print(f"{SHIPPED} is not here; `zoo translate train --recipe multi30k-en-de` makes it.")
        return
    for text, answer in zip(texts, load(SHIPPED)(texts), strict=True):
        print(f"{text}\n  {answer}")


def _clear(folder: Path) -> None:
    """Removes an earlier demonstration, and nothing else."""
    if not folder.exists():
        return
    if not (folder / "run" / "recipe.toml").is_file() and any(folder.iterdir()):
        raise UserError("this folder holds something else than a demonstration", where=str(folder))
    shutil.rmtree(folder)


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)
