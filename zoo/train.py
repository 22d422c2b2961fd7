"""Training a run: data, model, step and loop put together; evaluation, checkpoints and resume between the updates."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from zoo import recipe as recipes
from zoo.data import loading
from zoo.data.choices import open_part
from zoo.data.plan import Plan
from zoo.errors import UserError
from zoo.progress import say, track
from zoo.run import TEACHERS, Run, Start, environment, only_one

SCORED_ROWS = 2000  # of the validation set, at most, when a score selects
ACCURACIES = ("accuracy", "order_accuracy")  # of pre-training, told beside its loss


def starting_point(path: str) -> Start:
    """Weights and preprocessors of a run, or of the newest version of a model home (which takes TensorFlow).

    Raises: UserError where the path is neither.
    """
    if (Path(path) / "recipe.toml").is_file():
        return Start.of(Run.open(path))
    from zoo.export.loaded import load

    model = load(path)
    return Start(model.recipe, model.task.preprocessors, model.weights)


def teachers_of(run: Run) -> list[Start | Run]:
    """The models whose answers the recipe wants to be learned; those it names as recipes are runs, to be trained first.

    Raises: UserError where one is missing.
    """
    found: list[Start | Run] = []
    for name in run.task.teachers:
        try:
            if Path(name).exists() or not recipes.known(run.recipe.task, name):
                found.append(starting_point(name))
                continue
        except UserError as error:
            raise UserError(error.problem, where=f"[training] teacher: {error.where}", remedy=error.remedy) from error
        if (TEACHERS, name) in pairwise(run.folder.parts):
            raise UserError(f"the recipe {name} is, by way of others, its own teacher", where="[training] teachers")
        path = recipes.find(run.recipe.task, name)
        found.append(Run(run.folder / TEACHERS / name, recipes.read(path, type(run.task).schema())))
    return found


def _trained(teacher: Start | Run) -> Start:
    if isinstance(teacher, Start):
        return teacher
    say(f"the teacher {teacher.recipe.name} comes first")
    train(teacher)
    return Start.of(Run.open(teacher.folder))


def _prepare(choices: Any) -> None:
    from zoo.training import devices

    devices.prepare(
        deterministic=choices.deterministic,
        precision=choices.precision,
        seed=choices.seed,
        devices=choices.devices,
    )


def train(run: Run, *, start_from: Start | None = None, callbacks: Sequence[Any] = ()) -> dict[str, float]:
    """Trains a run to its end, from where it stands.

    Args:
        run: its folder may be new, or hold a training that was stopped.
        start_from: weights and preprocessors to begin with, instead of new ones; not looked at on a resume.
        callbacks: Keras callbacks; see `zoo.training.loop.train`.

    Returns: the logs of the last evaluation.

    Raises:
        UserError: the folder belongs to another recipe or process, or the data cannot be used.
        KeyboardInterrupt: the user's, after a checkpoint was saved.
    """
    choices = run.recipe.training
    _prepare(choices)  # before a teacher computes: then it would be too late for several devices
    named = teachers_of(run)
    run.claim()
    with only_one(run.folder):
        teachers = [_trained(each) for each in named]
        if teachers:
            _prepare(choices)  # again: they were trained by choices of their own
        session = Session(run, start_from, teachers)
        session.run_loop(callbacks)
        return session.logs


class Session:
    """One process's part in the training of a run."""

    def __init__(self, run: Run, start_from: Start | None, teachers: Sequence[Start] = ()) -> None:
        from zoo.training import devices, schedules
        from zoo.training.log import Log
        from zoo.training.optimizer import build_optimizer

        self.run, self.task, self.choices = run, run.task, run.recipe.training
        self.rows, self.validation = run.prepare(start_from.preprocessors if start_from else None, teachers)
        choices = self.choices
        self.plan = Plan(self.rows.lengths, choices.budget, choices.seed, group=choices.accumulate * choices.devices)
        self.every = choices.evaluate_every or self.plan.updates
        self.schedule = schedules.build(choices)
        self.checkpoints, self.log = run.checkpoints, Log(run.folder / "log.csv")
        with devices.scope(choices.devices):
            self.model = self.task.build_model(choices.seed)
            if start_from is not None and self.checkpoints.latest() is None:
                for line in self.task.start_from(self.model, start_from):
                    say(line)
            optimizer = build_optimizer(choices, self.schedule, self.model.trainable_variables)
            self.step = devices.make_step(
                self.model,
                optimizer,
                self.task.objective,
                clip_norm=choices.clip_norm,
                average_decay=choices.average_decay,
                devices=choices.devices,
            )
        self.examples = self._examples()
        self.logs: dict[str, float] = {}
        self.meta: dict[str, Any] = {
            "step": 0,
            "seconds": 0.0,
            "history": [],
            "recipe": recipes.fingerprint(run.recipe),
        }
        self._resume()
        self.started = time.monotonic() - self.meta["seconds"]
        (run.folder / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")

    def _examples(self) -> list[Any]:
        """Raw validation examples: as many as are shown, or scored."""
        wanted = SCORED_ROWS if self.choices.select == "score" else self.choices.samples
        table = open_part(self.run.recipe.data, "validation", self.task.columns)
        # From all of it: many a set stands in the order of its labels.
        step = max(self.validation.examples // wanted, 1) if wanted else 1
        return [example.values for example in islice(table, 0, wanted * step, step)]

    def _resume(self) -> None:
        from zoo.training.checkpoints import restore

        found = self.checkpoints.latest()
        if found is None:
            return
        arrays, meta = found
        if meta["recipe"] != self.meta["recipe"]:
            raise UserError("the checkpoint belongs to another recipe", where=str(self.checkpoints.folder))
        restore(self.model, self.step.optimizer, self.step, arrays)
        self.meta = meta
        say(f"resumed at update {meta['step']:,} of {self.choices.steps:,}")

    def run_loop(self, callbacks: Sequence[Any]) -> None:
        """The updates that are left."""
        from zoo.training import loop, schedules

        choices, plan, first = self.choices, self.plan, self.meta["step"]
        rate, at = schedules.peak(self.schedule, choices.steps)
        say(
            f"{self.model.count_params():,} weights; {plan.updates:,} updates an epoch in {len(plan.shapes)} shapes, "
            f"{plan.padding():.1%} padding; peak learning rate {rate:.3g} at update {at:,}"
        )
        if first >= choices.steps or self._out_of_patience():
            say("the training is complete")
            return
        batches = loading.updates(
            self.rows, plan, self.task.make_batch, start=first, transform=self.task.transform, seed=choices.seed
        )
        loop.train(
            self.step,
            batches,
            first=first,
            last=choices.steps,
            every=self.every,
            rate=self.schedule,
            pause=self._pause,
            interrupted=self._save,
            callbacks=callbacks,
        )

    def _pause(self, done: int, logs: dict[str, float]) -> dict[str, float] | None:
        """Evaluates, logs, shows samples, saves; None when patience is at its end."""
        from zoo.viz.curves import draw_run

        self.step.sync()
        self.meta["seconds"] = time.monotonic() - self.started
        more = {"validation_loss": self.validation_loss()}
        answers = self._answers(done)
        if self.choices.select == "score":
            more["score"] = self.task.score(answers, [self.task.reference(e) for e in self.examples])[0].value
        goodness = more["score"] if "score" in more else -more["validation_loss"]
        self.meta["history"].append(goodness)
        row = {"step": done, "epoch": done / self.plan.updates, "seconds": self.meta["seconds"]}
        self.logs = {**row, "rate": float(self.schedule(done - 1)), **logs, **more}
        self.log.write(self.logs)
        self._save(done, goodness)
        draw_run(self.log.rows(), self.run.folder / "curve.png")
        told = f"update {done:,}, epoch {row['epoch']:.1f}: loss {logs['loss']:.3f}, "
        told += "".join(f"{name} {logs[name]:.3f}, " for name in ACCURACIES if name in logs) + "validation "
        say(told + ", ".join(f"{name.removeprefix('validation_')} {value:.3f}" for name, value in more.items()))
        return None if self._out_of_patience() else more

    def _out_of_patience(self) -> bool:
        history, patience = self.meta["history"], self.choices.patience
        if not patience or not history:
            return False
        return len(history) - 1 - history.index(max(history)) >= patience

    def validation_loss(self) -> float:
        """Mean loss over the validation rows, without smoothing and dropout."""
        plan = Plan(self.validation.lengths, self.choices.budget, 0)
        sums = {"loss": 0.0, "count": 0.0}
        for (batch,) in plan.epoch(0):
            rows = [self.validation[int(row)] for row in batch.rows if row >= 0]
            found = self.step.evaluate(self.task.make_batch(rows, batch.shape))
            sums = {name: total + float(found[name]) for name, total in sums.items()}
        return sums["loss"] / max(sums["count"], 1.0)

    def _answers(self, done: int) -> list[Any]:
        """Answers to the validation examples; the first few are shown and written to samples.txt."""
        if not self.examples:
            return []
        raws = [self.task.raw(example) for example in self.examples]
        with track("answering validation examples", total=None):
            answers = self.task.predict(self.model, raws)
        lines = [f"update {done}"]
        for example, answer in list(zip(self.examples, answers, strict=True))[: self.choices.samples]:
            lines += [*(f"  {name}: {_shown(example[name])}" for name in self.task.columns), f"  answer: {answer}", ""]
        for line in lines[1:]:
            say(line)
        with (self.run.folder / "samples.txt").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return answers

    def _save(self, done: int, goodness: float | None = None) -> None:
        from zoo.training.checkpoints import capture

        self.step.sync()
        self.meta |= {"step": done, "seconds": time.monotonic() - self.started}
        self.checkpoints.save(capture(self.model, self.step.optimizer, self.step), self.meta, goodness)


def _shown(value: Any) -> Any:
    return f"a file of {len(value):,} bytes" if isinstance(value, bytes) else value
