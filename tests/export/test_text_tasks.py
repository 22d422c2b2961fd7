"""The graphs of the tasks over a text encoder: from strings to the answers that the task itself gives."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.arrays import scatter
from zoo import recipe as recipes
from zoo.data.choices import open_part
from zoo.export import savedmodel
from zoo.export.bundle import Bundle, by_input
from zoo.tasks.task import TASKS, Task, find, make, resolve
from zoo.tasks.text_encoder import TextEncoder

ENCODERS = [name for name in TASKS if issubclass(find(name), TextEncoder)]
ODD = ["", " ", "ÀÉ ß ﬁ İ", "a\u200bb \x00", "😀 [MASK] [SEP] 你好", "x" * 300, "good " * 200]


def fitted(name: str, **sections) -> Task:
    """The task of a debug recipe, with fields of its sections replaced."""
    kind = find(name)
    recipe = recipes.read(recipes.find(name, "debug"), kind.schema())
    new = {part: replace(recipe.sections[part], **fields) for part, fields in sections.items()}
    task = make(replace(recipe, sections={**recipe.sections, **new}))
    task.fit(islice(open_part(recipe.data, "train", task.columns), 300))
    return task


def bundle(task: Task, rows: int = 12) -> Bundle:
    model = scatter(task.build_model(3), size=0.1)
    table = open_part(task.recipe.data, "validation", task.columns)
    return Bundle(task, model, [task.raw(example.values) for example in islice(table, rows)])


def answers(exported, signature: str, names: list[str], raws: list) -> dict[str, list]:
    inputs = {name: tf.constant(values, tf.string) for name, values in by_input(names, raws).items()}
    found = exported.functions[signature](**inputs)
    return {name: plain(value.numpy().tolist()) for name, value in found.items()}


def plain(value):
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def odd(raws: list) -> list:
    """Texts that are seldom seen, as raws like the given ones."""
    if not isinstance(raws[0], tuple):
        return ODD
    return [(a, b) for a, b in zip(ODD, reversed(ODD), strict=True)]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_task_is_exported_with_the_answers_of_its_model(name):
    made = bundle(fitted(name))
    exported, signatures = resolve(made.task.exporter)(made, "float32"), made.task.signatures()
    savedmodel.check_names(signatures, exported)
    asked, raws = made.task.asked, [*made.examples, *odd(made.examples)]
    found = answers(exported, asked, list(signatures[asked].inputs), raws)
    savedmodel.check_answers(raws, found, exported.reference(raws), exported.close)
    for row, raw in enumerate(raws):
        alone = answers(exported, asked, list(signatures[asked].inputs), [raw])
        savedmodel.check_rows({key: values[row : row + 1] for key, values in found.items()}, [alone])
    first, *others = signatures[asked].inputs
    for other in others:
        texts = {each: tf.constant(["a"] if each == other else ["a", "b"]) for each in (first, *others)}
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"a {other} for each {first}"):
            exported.functions[asked](**texts)
    for signature, promised in signatures.items():
        for count in (0, 2):
            given = answers(exported, signature, list(promised.inputs), made.examples[:count])
            rows = len(next(iter(by_input(list(promised.inputs), made.examples[:count]).values())))
            assert {len(values) for values in given.values()} == {rows}, signature


def test_several_labels_are_told_as_the_task_tells_them():
    made = bundle(fitted("classify_text", data={"multi_label": True}, decoding={"threshold": 0.45}))
    exported = resolve(made.task.exporter)(made, "float32")
    found = answers(exported, "serving_default", ["text"], made.examples)
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    assert [made.task.answer(row) for row in rows] == made.task.predict(made.model, made.examples)
    assert len({row["count"] for row in rows}) > 1
    assert all(score >= 0.45 for row in rows for score in row["scores"][: row["count"]])
    every = answers(exported, "probabilities", ["text"], made.examples)
    assert every["labels"][0] == list(made.task.preprocessors["labels"].names)
    np.testing.assert_allclose(every["probabilities"], made.task.probabilities(made.model, made.examples), atol=1e-5)


def test_what_is_no_class_is_rejected():
    choices = {"reject_below": 0.99, "reject_label": "none of them"}
    made = bundle(fitted("classify_text", decoding=choices))
    found = answers(resolve(made.task.exporter)(made, "float32"), "serving_default", ["text"], made.examples)
    assert set(found["label"]) == {"none of them"}
    assert max(found["score"]) < 0.99
