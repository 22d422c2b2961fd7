"""A teacher's knowledge: temperature and loss by hand, labels put in order, a student that learns what it is told."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.encoders import SMALL, VOCABULARY, looks_for, made, sums
from zoo import recipe as recipes
from zoo.data.plan import Shape
from zoo.data.tables import Example, Table
from zoo.errors import UserError
from zoo.preprocessing.labels import Labels
from zoo.preprocessing.wordpiece import WordPiece
from zoo.run import Run, Start
from zoo.tasks.distillation import TOLD, Taught, Teacher, softened
from zoo.tasks.text_encoder import sigmoid, softmax
from zoo.train import train
from zoo.training.checkpoints import capture

LABELS = ("bad", "good")
TEACHER = {"teacher": "runs/teacher", "temperature": 2.0, "label_weight": 0.25}


class Rows(Table):
    files = ()

    def __init__(self, *rows, columns=("text", "label")):
        self.values, self.columns = [dict(zip(columns, row, strict=True)) for row in rows], columns

    def __iter__(self):
        return iter([Example(values, f"a.tsv:{line}") for line, values in enumerate(self.values, 1)])


def test_a_temperature_by_hand():
    told = np.array([[0.9, 0.1], [1.0, 0.0]], "float32")
    for several in (False, True):
        assert softened(told, 2.0, several) == pytest.approx(np.array([[0.75, 0.25], [1.0, 0.0]]), rel=1e-6)
    assert softened(np.array([[0.8, 0.9]]), 0.5, several=True)[0] == pytest.approx([16 / 17, 81 / 82])


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=5), st.floats(0.5, 20.0))
def test_a_temperature_divides_the_logits(logits, temperature):
    logits = np.array([logits])
    np.testing.assert_allclose(
        softened(softmax(logits), temperature), softmax(logits / temperature), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_allclose(
        softened(sigmoid(logits), temperature, True), sigmoid(logits / temperature), rtol=1e-3, atol=1e-6
    )


def batch_of(task, told):
    rows = [{**task.encode({"text": "a", "label": "bad"}), TOLD: np.array(told, "float32")}]
    return task.make_batch(rows, Shape(2, (3,)))  # the second row is padding


def model_of(logits):
    return lambda inputs, training=False: np.array([logits, [5.0, -7.0]], "float32")


def test_the_loss_by_hand():
    task = made("classify_text", LABELS, training={**TEACHER, "class_weights": {"bad": 3.0}})
    batch = batch_of(task, [0.25, 0.75])
    assert batch["targets"].tolist() == [[1, 0], [0, 0]] and batch[TOLD].tolist() == [[0.25, 0.75], [0, 0]]
    model = model_of([np.log(9.0), 0.0])  # 0.9 and 0.1; at the temperature 2 they are 0.75 and 0.25
    label, teacher = -np.log(0.9), -0.25 * np.log(0.75) - 0.75 * np.log(0.25)
    found = sums(task, model, batch, True)
    assert found["loss"] == pytest.approx(3.0 * (0.25 * label + 0.75 * 4.0 * teacher), rel=1e-5)
    assert found["count"] == 3.0
    assert sums(task, model, batch, False)["loss"] == pytest.approx(3.0 * label, rel=1e-5)


def test_the_loss_of_several_labels_by_hand():
    task = made("classify_text", LABELS, data={"multi_label": True}, training=TEACHER)
    batch = batch_of(task, [0.25, 0.75])
    found = sums(task, model_of([np.log(9.0), -np.log(9.0)]), batch, True)
    label = -2 * np.log(0.9)
    teacher = -0.25 * np.log(0.75) - 0.75 * np.log(0.25) - 0.75 * np.log(0.25) - 0.25 * np.log(0.75)
    assert found["loss"] == pytest.approx(0.25 * label + 0.75 * 4.0 * teacher, rel=1e-5)
    assert found["count"] == 2.0


def test_gradients_of_the_soft_part_do_not_vanish_with_the_temperature():
    """Hinton et al., section 2.1: at a high temperature they are (logit - the teacher's logit) / classes."""
    hot = made("classify_text", LABELS, training={**TEACHER, "temperature": 100.0, "label_weight": 0.0})

    def loss(logit):
        return sums(hot, model_of([logit, 0.0]), batch_of(hot, softened(softmax(np.array([0.0, 0.0])), 100.0)), True)

    slope = (loss(3.0)["loss"] - loss(2.0)["loss"]) / 1.0
    assert slope == pytest.approx(2.5 / 4, rel=0.02)  # of two classes; between 2 and 3, half of it on each logit


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("data", "unlabelled", "a.tsv"),
        ("data", "phrases", 2),
        ("training", "temperature", 3.0),
        ("training", "label_weight", 0.5),
    ],
)
def test_without_a_teacher_nothing_would_read_it(section, name, value):
    with pytest.raises(UserError, match="for a training with a teacher") as caught:
        made("classify_text", LABELS, **{section: {name: value}})
    assert caught.value.where == f"[{section}] {name}"


def test_phrases_are_not_cut_out_of_pairs():
    with pytest.raises(UserError, match="single texts"):
        student(data={"columns": {"text_a": "a", "text_b": "b"}, "phrases": 1})


@pytest.fixture(scope="module")
def teacher():
    """A classifier that looks for the words good and bad; its labels stand in another order than the student's."""
    return looks_for(LABELS[::-1], training={"seed": 5})


def start_of(task, model):
    arrays = capture(model, SimpleNamespace(variables=[]), SimpleNamespace(averages=None, sync=lambda: None))
    return Start(task.recipe, task.preprocessors, arrays)


def student(**tables):
    """With fewer pieces than the teacher, in another order."""
    task = made("classify_text", LABELS, **{"training": TEACHER, **tables})
    task.preprocessors["text"] = WordPiece.from_vocabulary([*VOCABULARY[:5], *VOCABULARY[11:4:-1]], lowercase=True)
    return task


def test_what_is_told_stands_in_the_order_of_the_student(teacher):
    task, model = teacher
    texts = [("so bad a play",), ("the film was good",)]
    found = Teacher(start_of(task, model), student()).probabilities(texts)
    assert found.dtype == np.float32 and found.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(found[:, ::-1], task.probabilities(model, texts), rtol=1e-5)
    assert Teacher(start_of(task, model), student()).probabilities([]).shape == (0, 2)


def test_merged_low_rank_additions_are_a_teacher_too(teacher):
    """As of a model home: the recipe speaks of additions, the weights have none."""
    task, model = teacher
    low = made("classify_text", LABELS[::-1], training={"lora_rank": 2})
    merged = Start(low.recipe, task.preprocessors, start_of(task, model).weights)
    found = Teacher(merged, student()).probabilities([("so bad a play",)])
    np.testing.assert_allclose(found[:, ::-1], task.probabilities(model, ["so bad a play"]), rtol=1e-5)


@pytest.mark.parametrize(
    ("pupil", "told"),
    [
        (lambda: made("score_pair"), 'of the task "classify_text" and the student of "score_pair"'),
        (lambda: student(data={"multi_label": True}), "it gives one label a text"),
        (lambda: student(data={"columns": {"text_a": "a", "text_b": "b"}}), "reads text, and the student text_a and"),
        (lambda: relabelled("bad", "goood"), 'student does not know the label "good". Did you mean "goood"'),
        (lambda: relabelled(*LABELS, "so"), 'teacher does not know the label "so"'),
    ],
)
def test_a_teacher_of_something_else_is_refused(teacher, pupil, told):
    with pytest.raises(UserError) as caught:
        Teacher(start_of(*teacher), pupil())
    assert caught.value.where == "[training] teacher" and told in caught.value.problem


def relabelled(*names):
    task = student()
    task.preprocessors["labels"] = Labels(names)
    return task


def test_texts_without_labels_stand_behind_the_others(teacher, tmp_path):
    pupil, master = student(), Teacher(start_of(*teacher), student())
    rows, more = Rows(("so bad", "good"), ("a film", "bad")), Rows(("so good",), columns=("text",))
    table = Taught(pupil, rows, [more], master, tmp_path, 2.0)
    found, says = list(table), master.probabilities([("so bad",), ("a film",), ("so good",)])
    assert table.rows == 3 and [each.place for each in found] == ["a.tsv:1", "a.tsv:2", "a.tsv:1"]
    assert [each.values["text"] for each in found] == ["so bad", "a film", "so good"]
    assert [each.values["label"] for each in found[:2]] == ["good", "bad"]
    assert found[2].values["label"] == pytest.approx(dict(zip(LABELS, says[2].tolist(), strict=True)))
    np.testing.assert_allclose([each.values[TOLD] for each in found], softened(says, 2.0), rtol=1e-5)
    encoded = [pupil.encode(each.values) for each in found]
    assert all(pupil.keep(each.values, row) is None for each, row in zip(found, encoded, strict=True))
    assert encoded[2]["shares"] == pytest.approx(says[2]) and encoded[1]["shares"].tolist() == [1.0]
    with pytest.raises(UserError, match="must be a text, not 3") as caught:
        Taught(pupil, Rows(("a", "bad"), (3, "bad")), [], master, tmp_path, 2.0)
    assert caught.value.where == "a.tsv:2"


def test_the_teacher_is_asked_again_for_other_weights_and_other_texts(teacher, tmp_path, monkeypatch):
    task, model = teacher
    start, rows = start_of(task, model), Rows(("so bad", "good"), ("a film", "bad"))
    first = Taught(student(), rows, [], Teacher(start, student()), tmp_path, 2.0)
    asked = []
    monkeypatch.setattr(Teacher, "probabilities", lambda self, texts, total: asked.append(total) or np.ones((total, 2)))
    again = Taught(student(), rows, [], Teacher(start, student()), tmp_path, 3.0)
    assert again.fingerprint == first.fingerprint and not asked
    Taught(student(), Rows(*[("so bad", "good")] * 3), [], Teacher(start, student()), tmp_path, 2.0)
    name, array = next((name, array) for name, array in start.weights.items() if name.endswith("head/output/kernel"))
    start.weights[name] = array + 1.0
    Taught(student(), rows, [], Teacher(start, student()), tmp_path, 2.0)
    assert asked == [3, 2] and len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def taught(teacher, tmp_path, monkeypatch):
    """A run that is taught, and the recipe of its student: the labels of its texts are all wrong."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    task, model = teacher
    run = Run(tmp_path / "teacher", task.recipe)
    run.claim()
    task.save(run.folder / "preprocessor")
    meta = {"step": 0, "seconds": 0.0, "history": [], "recipe": recipes.fingerprint(task.recipe)}
    run.checkpoints.save(start_of(task, model).weights, meta, score=0.0)
    rng = np.random.default_rng(1)
    lines = []
    for _ in range(96):
        words = rng.choice(["a", "film", "the", "was", "so", "play"], rng.integers(1, 5)).tolist()
        which = int(rng.integers(2))
        words.insert(int(rng.integers(len(words) + 1)), LABELS[which])
        lines.append((" ".join(words), LABELS[1 - which]))
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in lines[:32]))
    (tmp_path / "more.txt").write_text("".join(f"{text}\n" for text, _ in lines[32:]))
    tables = {
        "data": {"train": str(tmp_path / "a.tsv"), "validation": str(tmp_path / "a.tsv"), "max_length": 16},
        "preprocessing": {"vocabulary": 300},
        "model": SMALL,
        "training": {"steps": 60, "evaluate_every": 60, "warmup": 5, "budget": 512, "peak_rate": 3e-3, "samples": 0},
    }
    tables["data"] |= {"unlabelled": {"text": str(tmp_path / "more.txt")}, "phrases": 1}
    tables["training"] |= {"teacher": str(run.folder), "label_weight": 0.0}
    return tmp_path / "student", recipes.made("classify_text", "student", "", tables, type(task).schema())


def test_a_student_learns_what_the_teacher_says_and_not_the_labels(taught, monkeypatch):
    folder, recipe = taught
    train(Run(folder, recipe))
    run = Run.open(folder)
    texts = ["the film was good", "bad", "so bad a play", "a play so good", "was bad"]
    assert run.task.predict(run.model(which="last"), texts) == ["good", "bad", "bad", "good", "bad"]
    monkeypatch.setattr(Teacher, "probabilities", lambda *_: pytest.fail("it was asked already"))
    train(Run(folder, recipe))
    rows, validation = Run(folder, recipe).prepare(teachers=[Start.of(Run.open(recipe.training.teacher))])
    assert (len(rows), len(validation)) == (32 + 64 + 32, 32)


def test_a_missing_teacher_is_told_before_anything_is_made(taught, tmp_path):
    folder, recipe = taught
    (tmp_path / "teacher").rename(tmp_path / "gone")
    with pytest.raises(UserError, match="no version of a model") as caught:
        train(Run(folder, recipe))
    assert caught.value.where == f"[training] teacher: {recipe.training.teacher}" and not folder.exists()
