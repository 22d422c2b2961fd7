"""What `zoo show` does, behind its options."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from zoo import recipe as recipes
from zoo.data import loading
from zoo.data.plan import Plan
from zoo.data.prepared import Prepared
from zoo.errors import UserError
from zoo.progress import track
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.tasks.task import find, make
from zoo.training import devices, schedules
from zoo.training.choices import TrainingChoices
from zoo.training.optimizer import build_optimizer
from zoo.viz.curves import draw_lines

NAMES = ("inverse_square_root", "linear", "cosine", "constant", "warmup_stable_decay")
# Deep enough, and the rate high enough, that the first updates matter; else the toy recipe.
TRIAL = (
    "model.encoder_layers=6",
    "model.decoder_layers=6",
    "training.schedule=linear",
    "training.peak_rate=0.003",
)
VARIANTS = {
    "post-norm, warm-up": {"norm": "post", "share": 0.3},
    "post-norm, no warm-up": {"norm": "post", "share": 0.0},
    "pre-norm, no warm-up": {"norm": "pre", "share": 0.0},
}


def draw_schedules(args: Namespace) -> None:
    """Draws the schedule of a recipe, or all of them for one length, warm-up and peak."""
    if args.recipe:
        recipe = _find(args.recipe)
        shown = {recipe.training.schedule: recipe.training}
    else:
        settings = {"steps": args.steps, "warmup": args.warmup, "peak_rate": args.peak_rate}
        shown = {name: TrainingChoices(schedule=name, **settings) for name in NAMES}
    lines = {}
    for name, choices in shown.items():
        schedule = schedules.build(choices)
        drawn = lines[name.replace("_", " ")] = schedules.rates(schedule, choices.steps)
        rate, update = schedules.peak(schedule, choices.steps)
        print(f"{name:20}  peak {rate:.3g} at update {update:,}; the last of {choices.steps:,}: {drawn[-1]:.3g}")
    draw_lines(lines, Path(args.output), what="learning rate")
    print(f"drawn: {args.output}")


def _find(name: str) -> Recipe:
    path = Path(name)
    if not path.is_file():
        task, slash, name = name.partition("/")
        if not slash:
            raise UserError("this is neither a file nor TASK/NAME", where=f"--recipe {task}")
        path = recipes.find(task, name)
    return recipes.read(path, find(recipes.peek_task(path)).schema())


def try_warmup(args: Namespace) -> None:
    """Trains the variants on generated sentences, draws their losses and says what is seen."""
    overrides = [*TRIAL, f"training.steps={args.steps}", "training.warmup=0", f"training.seed={args.seed}"]
    recipe = recipes.read(recipes.find("translate", "toy"), find("translate").schema(), overrides)
    run = Run(Path(args.folder), recipe)
    devices.prepare(deterministic=False, precision="float32", seed=args.seed)
    run.claim()
    rows, _ = run.prepare()
    losses = {name: _losses(run, rows, name, **variant) for name, variant in VARIANTS.items()}
    title = f"{recipe.model.encoder_layers}+{recipe.model.decoder_layers} layers, peak rate {recipe.training.peak_rate}"
    draw_lines(losses, Path(args.output), what="training loss, nats a token", title=title, window=10)
    for name, values in losses.items():
        print(f"{name:22}  " + "  ".join(f"update {at:,}: {mean:.2f}" for at, mean in _stations(values)))
    print(verdict({name: _stations(values)[-1][1] for name, values in losses.items()}))
    print(f"drawn: {args.output}; what the literature says: docs/warmup.md")


def _losses(run: Run, rows: Prepared, name: str, norm: str, share: float) -> list[float]:
    """The loss a token of each update of one variant, all on the same batches."""
    training = replace(run.recipe.training, warmup=round(share * run.recipe.training.steps))
    model_section = replace(run.recipe.model, norm=norm)
    recipe = replace(run.recipe, sections={**run.recipe.sections, "training": training, "model": model_section})
    task = make(recipe)
    task.load(run.folder / "preprocessor")
    model = task.build_model(training.seed)
    optimizer = build_optimizer(training, schedules.build(training), model.trainable_variables)
    step = devices.make_step(model, optimizer, task.objective, clip_norm=training.clip_norm)
    plan = Plan(rows.lengths, training.budget, training.seed)
    found: list[float] = []
    with track(name, total=training.steps, unit="updates") as progress:
        for _, batches in islice(loading.updates(rows, plan, task.make_batch, seed=training.seed), training.steps):
            sums = step(batches)
            found.append(float(sums["loss"]) / max(float(sums["count"]), 1.0))
            progress.advance()
            progress.show(loss=round(found[-1], 2))
    return found


def _stations(values: list[float]) -> list[tuple[int, float]]:
    """Mean losses of the tenth of the training that ends at a tenth, a half, and the end."""
    tenth = max(len(values) // 10, 1)
    return [(at, float(np.mean(values[at - tenth : at]))) for at in (tenth, max(len(values) // 2, 1), len(values))]


def verdict(ends: dict[str, float]) -> str:
    """What the last losses say of warm-up, in one sentence."""
    warm, cold, pre = ends.values()
    if not np.isfinite(cold):
        return "Without warm-up the post-norm model diverged; with it, or with pre-norm, the same rate is fine."
    if cold < 1.2 * warm:
        return "Here the post-norm model learned without warm-up too: try more --steps or another --seed."
    tail = "and pre-norm does not need it" if pre < 1.2 * warm else "and pre-norm alone is no full replacement here"
    return f"Without warm-up the post-norm model ends at {cold / warm:.1f} times the loss that it has with it, {tail}."
