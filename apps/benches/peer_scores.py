"""What the peer reaches: transformers in PyTorch, fine-tuned on the files of a recipe and scored by the same scorer.

Plainly: every weight learns, all at one rate that rises and falls linearly; the last update is what is scored. What the
recipe says of layers' rates, of freezing and of the best evaluation is left out. It has the recipe's updates, batches
and loss, and reads the ids of our tokenizer, which tests hold equal to its own.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from apps.benches.finetune import start_of, with_fixed
from apps.benches.peer import descend, inputs_of, make_optimizer
from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.progress import track
from zoo.recipe import Recipe
from zoo.run import Run

AUTO = {
    "classify": "AutoModelForSequenceClassification",
    "tokens": "AutoModelForTokenClassification",
    "span": "AutoModelForQuestionAnswering",
    "pool": "AutoModel",
}
PLAIN = ("training.freeze=none", "training.layer_decay=1.0", "training.unfreeze_every=0", "training.lora_rank=0")


class Peer:
    """A model of transformers that is called as ours are, so that a task trains and asks it.

    Args:
        folder: of the checkpoint's encoder.
        task: with its preprocessors; its head begins anew unless the checkpoint has one like it.
    """

    variables = ()  # none that Keras knows

    def __init__(self, folder: Path, task: Any) -> None:
        import transformers

        self.config, self.head = task.config, task.head
        outputs = {"num_labels": self.config.classes} if self.config.classes else {}
        self.module = getattr(transformers, AUTO[self.head]).from_pretrained(folder, **outputs)

    def __call__(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """What our model of the same head gives: logits [B, C], [B, T, C] or [B, T, 2], or vectors [B, D]."""
        import torch

        self.module.train(training)
        mask = inputs["mask"].clone()
        mask[:, 0] = True  # fused attention over a row of padding alone may give NaN
        found = self.module(**inputs_of({**inputs, "mask": mask}, self.module))
        if self.head == "span":
            return torch.stack((found.start_logits, found.end_logits), -1)
        if self.head != "pool":
            return found.logits
        if self.config.pooler == "mean":
            real = mask[:, :, None].float()
            return (found.last_hidden_state * real).sum(1) / real.sum(1)
        return found.pooler_output if self.config.pooler == "cls_dense" else found.last_hidden_state[:, 0]


def measure(args: Namespace) -> dict[str, Any]:
    """Trains and scores.

    Returns: "scores" of the recipe's test set as JSON, its name, seed, updates and minutes.

    Raises: UserError where the recipe has no test set, or is for a task that the peer has no head for.
    """
    import torch
    from transformers import get_linear_schedule_with_warmup

    from zoo.export.scores import TestSet
    from zoo.interop.sentence_transformers import read_modules

    folder = Path(args.checkpoint)
    start = start_of(folder)
    recipe = _recipe(args, start)
    modules, choices = read_modules(folder), recipe.training
    with tempfile.TemporaryDirectory() as place:
        run = Run(Path(place) / "run", recipe)
        run.claim()
        rows, _ = run.prepare(start.preprocessors)
        task, test = run.task, TestSet.of_recipe(run.task)
        if task.teachers:
            raise UserError("the peer learns from no teacher", where=recipe.name)
        if test is None:
            raise UserError("this recipe names no test set", where=recipe.name)
        torch.manual_seed(choices.seed)
        peer = Peer(modules.encoder if modules else folder, task)
        optimizer = make_optimizer(peer.module, choices)
        rates = get_linear_schedule_with_warmup(optimizer, choices.warmup, choices.steps)
        started = time.monotonic()
        _train(peer, optimizer, rates, task, rows)
        minutes = (time.monotonic() - started) / 60
        scores = task.score(task.predict(peer, test.raws), test.references)
    return {
        "scores": [score.to_json() for score in scores],
        "told": [str(score) for score in scores],
        "set": test.name,
        "recipe": f"{recipe.task}/{recipe.name}",
        "seed": choices.seed,
        "updates": choices.steps,
        "minutes": minutes,
    }


def _recipe(args: Namespace, start: Any) -> Recipe:
    """The recipe of a file, or of TASK/NAME, with the sizes of the checkpoint."""
    from apps.commands.task import with_model_of
    from zoo.tasks.task import find

    path = Path(args.recipe)
    if not path.is_file():
        task, _, name = args.recipe.rpartition("/")
        find(task)
        path = recipes.find(task, name)
    kind = find(recipes.peek_task(path))
    if getattr(kind, "head", "") not in AUTO:
        raise UserError(f'the peer has no head for the task "{kind.name}"', where=str(path))
    return with_model_of(recipes.read(path, kind.schema(), with_fixed(args.overrides, PLAIN)), start)


def _train(peer: Peer, optimizer: Any, rates: Any, task: Any, rows: Any) -> None:
    import torch

    from zoo.data import loading
    from zoo.data.plan import Plan

    choices = task.recipe.training
    plan = Plan(rows.lengths, choices.budget, choices.seed, group=choices.accumulate)
    updates = loading.updates(rows, plan, task.make_batch, transform=task.transform, seed=choices.seed)
    with track("training the peer", choices.steps, "updates") as progress:
        for number, batches in updates:
            if number == choices.steps:
                break
            tensors = [{name: torch.from_numpy(array) for name, array in batch.items()} for batch in batches]
            sums = [task.objective(peer, batch, True) for batch in tensors]
            loss = sum(each["loss"] for each in sums) / sum(each["count"] for each in sums)
            descend(loss, peer.module, optimizer, choices.clip_norm)
            rates.step()
            progress.advance()


def show(result: dict[str, Any]) -> None:
    """Prints the scores."""
    about = f"seed {result['seed']}, {result['updates']:,} updates, {result['minutes']:.1f} minutes"
    print(f"transformers in PyTorch, {result['recipe']}; {result['set']}; {about}")
    for line in result["told"]:
        print(line)
