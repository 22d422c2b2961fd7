"""What the tests of tasks over a text encoder share: a vocabulary by hand, recipes, a model that learns in seconds."""

from typing import Any

import numpy as np
from keras import ops

from zoo import recipe as recipes
from zoo.data.plan import Plan
from zoo.preprocessing.labels import Labels
from zoo.preprocessing.wordpiece import WordPiece
from zoo.tasks.task import find
from zoo.training import devices, schedules
from zoo.training.optimizer import build_optimizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("a", "good", "bad", "film", "play", "##s", "the", "was", "not", "so", ".", "un", "##like", "##ly")
VOCABULARY = (*SPECIAL, *WORDS)
PAD, UNKNOWN, CLS, SEP, MASK, A, GOOD, BAD, FILM, PLAY, S, THE, WAS, NOT, SO, DOT, UN, LIKE, LY = range(19)
SMALL = {"preset": "debug", "layers": 1, "dropout": 0.0, "attention_dropout": 0.0}


def wordpiece() -> WordPiece:
    return WordPiece.from_vocabulary(list(VOCABULARY), lowercase=True)


def made(task: str, labels: tuple[str, ...] = (), counts: tuple[int, ...] = (), **tables: Any) -> Any:
    """A task with the vocabulary above; sections of its recipe as keywords."""
    kind = find(task)
    tables = {"model": SMALL, **tables}
    found = kind(recipes.made(task, "test", "", tables, kind.schema()))
    found.preprocessors = {"text": wordpiece()}
    if labels:
        found.preprocessors["labels"] = Labels(labels, counts)
    return found


def sums(task: Any, model: Any, batch: dict[str, np.ndarray], training: bool = True) -> dict[str, float]:
    """What the objective gives for a batch."""
    found = task.objective(model, {name: ops.convert_to_tensor(value) for name, value in batch.items()}, training)
    return {name: float(value) for name, value in found.items()}


def learn(task: Any, rows: list[dict[str, Any]], updates: int, rate: float = 3e-3, budget: int = 512) -> Any:
    """A new model of the task after some updates on the rows."""
    model = task.build_model(1)
    choices = task.recipe.training
    optimizer = build_optimizer(choices, schedules.Constant(rate, 5), model.trainable_variables)
    step = devices.make_step(model, optimizer, task.objective, clip_norm=1.0)
    plan = Plan(np.array([task.lengths(row) for row in rows]), budget, 0, most_shapes=1)
    done = 0
    while done < updates:
        for (batch,) in plan.epoch(done):
            drawn = [rows[index] for index in batch.rows if index >= 0]
            if task.transform is not None:
                drawn = [task.transform(row, np.random.default_rng((done, index))) for index, row in enumerate(drawn)]
            step([task.make_batch(drawn, batch.shape)])
            done += 1
            if done == updates:
                break
    step.sync()
    return model


def looks_for(labels: tuple[str, ...], **tables: Any) -> tuple[Any, Any]:
    """A classifier, and its model that has learned to look for the one of its labels that a text holds."""
    task = made("classify_text", labels, **tables)
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(64):
        words = rng.choice(["a", "film", "the", "was", "so", "play"], rng.integers(1, 5)).tolist()
        label = str(rng.choice(sorted(labels)))
        words.insert(int(rng.integers(len(words) + 1)), label)
        rows.append(task.encode({"text": " ".join(words), "label": label}))
    return task, learn(task, rows, 40)
