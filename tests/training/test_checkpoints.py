import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.training import tiny
from zoo.errors import UserError
from zoo.layers.adapters import merge
from zoo.training.checkpoints import Checkpoints, capture, restore, restore_weights

SMALL = {"model/a": np.arange(3, dtype="float32"), "optimizer/n": np.array(7)}


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def trained() -> tuple:
    """Model, optimizer and step after three updates with dropout and averages."""
    made = tiny.build(dropout=0.3, average_decay=0.9, clip_norm=1.0)
    tiny.losses(made[2], 3)
    return made


def test_a_resumed_training_goes_on_bit_for_bit(trained: tuple, tmp_path: Path) -> None:
    before = capture(*trained)
    Checkpoints(tmp_path).save(before, {"step": 3})
    expected = tiny.losses(trained[2], 4)
    after = capture(*trained)
    resumed = tiny.build(dropout=0.3, average_decay=0.9, clip_norm=1.0)
    tiny.losses(resumed[2], 1)  # whatever it did before
    arrays, meta = Checkpoints(tmp_path).latest()
    assert equal(arrays, before) and meta["step"] == 3
    restore(*resumed, arrays)
    assert tiny.losses(resumed[2], 4) == expected
    assert equal(capture(*resumed), after)


def test_names_are_the_same_for_every_model_built_and_hold_all_there_is(trained: tuple) -> None:
    first, second = capture(*trained), capture(*tiny.build(average_decay=0.9))
    assert first.keys() == second.keys()
    paths = {v.path for v in trained[0].trainable_variables}
    assert {name for name in first if name.startswith("average/")} == {f"average/{path}" for path in paths}
    assert {"model/dropout_seed/seed_generator_state", "optimizer/adamw/iteration"} < first.keys()
    assert len(first) == len(paths) * 4 + 2  # weight, its two moments, its average; seed and iteration


def test_automatic_and_double_names_are_refused() -> None:
    class Careless(keras.Model):
        def __init__(self, name: str | None) -> None:
            super().__init__(name="careless")
            self.seed = keras.random.SeedGenerator(1, name=name)
            self.other = keras.random.SeedGenerator(2, name="shared")

    _, *others = tiny.build()
    with pytest.raises(ValueError, match="automatic name"):
        capture(Careless(None), *others)
    with pytest.raises(ValueError, match="the name of two variables"):
        capture(Careless("shared"), *others)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda arrays: arrays.pop("model/norm/gamma"), "it has no model/norm/gamma"),
        (lambda arrays: arrays.update({"model/more": np.zeros(1)}), "nothing here takes its model/more"),
        (lambda arrays: arrays.update({"model/norm/gamma": np.zeros(9)}), r"the shape \(9,\) there, \(8,\) here"),
        (
            lambda arrays: arrays.update({"model/dropout_seed/seed_generator_state": np.array([2**70, 0.5])}),
            "do not fit",
        ),
    ],
)
def test_another_model_s_checkpoint_is_refused_and_changes_nothing(trained: tuple, change, problem: str) -> None:
    before = capture(*trained)
    arrays = {name: array + 1 for name, array in before.items()}
    change(arrays)
    with pytest.raises(UserError, match=problem):
        restore(*trained, arrays)
    assert equal(capture(*trained), before)


def test_weights_alone_are_the_averages_and_leave_the_seeds(trained: tuple) -> None:
    arrays = capture(*trained)
    model = tiny.Tiny()
    restore_weights(model, arrays)
    for ours, theirs in zip(model.weights, trained[2].averages, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert model.dropout_seed.state.numpy().tolist() == [5, 0]
    without = {name: array for name, array in arrays.items() if "kernel" not in name}
    with pytest.raises(UserError, match="it has no model/inner/kernel"):
        restore_weights(model, without)


def test_bfloat16_arrays_fill_float32_variables(trained: tuple, tmp_path: Path) -> None:
    arrays = {
        name: a.astype(ml_dtypes.bfloat16) if a.dtype == "float32" else a for name, a in capture(*trained).items()
    }
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(arrays, {"step": 1})
    model = tiny.Tiny()
    restore_weights(model, checkpoints.latest()[0])
    kernel = model.inner.kernel.numpy()
    np.testing.assert_array_equal(kernel, arrays["average/inner/kernel"].astype("float32"))


def test_an_array_that_is_a_view_is_saved_as_it_reads(tmp_path: Path) -> None:
    turned = np.arange(6, dtype="float32").reshape(2, 3).T
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"model/a": turned}, {"step": 1})
    np.testing.assert_array_equal(checkpoints.latest()[0]["model/a"], turned)


scores = st.lists(st.one_of(st.none(), st.just(float("nan")), st.integers(0, 4)), min_size=1, max_size=9)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(scores=scores, keep=st.integers(1, 4))
def test_the_last_and_the_best_are_kept(tmp_path_factory, scores: list[float | None], keep: int) -> None:
    checkpoints = Checkpoints(tmp_path_factory.mktemp("run"), keep)
    for step, score in enumerate(scores):
        checkpoints.save(SMALL, {"step": step, "history": scores[:step]}, score)
    usable = [(score, -step) for step, score in enumerate(scores) if score is not None and not np.isnan(score)]
    kept = set(range(len(scores))[-keep:])
    if usable:
        best = -max(usable)[1]
        kept.add(best)
        assert checkpoints.best()[1]["step"] == best
    else:
        assert checkpoints.best() is None
    assert checkpoints.latest()[1]["step"] == len(scores) - 1
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        f"step-{step:09d}.safetensors" for step in sorted(kept)
    ]


def test_a_folder_without_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "none")
    assert checkpoints.latest() is None and checkpoints.best() is None
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.average(3)


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "foreign"])
def test_what_is_no_whole_checkpoint_is_passed_over(tmp_path: Path, capsys, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(SMALL, {"step": 1}, 0.5)
    path = checkpoints.save(SMALL, {"step": 2})
    data = path.read_bytes()
    if damage == "foreign":
        save_file(SMALL, path)
    else:
        path.write_bytes({"cut": data[:-1], "empty": b"", "zeros": bytes(len(data))}[damage])
    assert checkpoints.latest()[1]["step"] == 1
    assert path.name in capsys.readouterr().err
    checkpoints.save(SMALL, {"step": 3})
    assert path.exists() and checkpoints.best()[1]["step"] == 1


def test_a_newer_format_is_not_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(SMALL, {"step": 1})
    newer = {"zoo": json.dumps({"step": 2, "format": 2, "score": None})}
    save_file(SMALL, tmp_path / "step-000000002.safetensors", newer)
    with pytest.raises(UserError, match="a checkpoint of format 2; this version reads up to 1"):
        checkpoints.latest()


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow past `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(SMALL, {"step": 1})
    large = {"model/a": np.zeros(100_000, "float32")}
    with at_most(50_000), pytest.raises(UserError, match="no space left for a checkpoint") as caught:
        checkpoints.save(large, {"step": 2})
    assert "step-000000002" in str(caught.value) and "goes on from the last checkpoint" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.safetensors"]
    checkpoints.save(large, {"step": 2})
    assert checkpoints.latest()[1]["step"] == 2


def test_only_the_one_that_writes_cleans_up(tmp_path: Path) -> None:
    leftover = tmp_path / "step-000000001.safetensors.tmp"
    leftover.write_bytes(b"half")
    assert Checkpoints(tmp_path).latest() is None
    assert leftover.exists()  # it may belong to a training that is writing it just now
    Checkpoints(tmp_path).save(SMALL, {"step": 2})
    assert not leftover.exists()


def test_the_average_of_the_last(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=4)
    values = [2.0**33, 1.0, 1e-8, 4.0]
    for step, value in enumerate(values):
        arrays = {"model/w": np.array([value], "float32"), "model/seed": np.array([5, step]), "optimizer/n": np.ones(1)}
        checkpoints.save(arrays, {"step": step})
    average = checkpoints.average(3)
    assert average.keys() == {"model/w", "model/seed"}
    assert average["model/w"] == np.float32((4.0 + 1e-8 + 1.0) / 3) and average["model/w"].dtype == np.float32
    assert average["model/seed"].tolist() == [5, 3]
    assert checkpoints.average(99)["model/w"] == np.float32((2.0**33 + 5 + 1e-8) / 4)


def test_the_average_of_low_rank_additions_is_that_of_their_products(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    steps = [([[1.0], [2.0]], [[3.0, 4.0]]), ([[-1.0], [2.0]], [[5.0, -4.0]])]
    for step, (a, b) in enumerate(steps):
        arrays = {"kernel": np.eye(2), "lora_kernel_a": np.array(a), "lora_kernel_b": np.array(b)}
        named = {f"model/x/{name}": array.astype("float32") for name, array in arrays.items()}
        checkpoints.save({**named, "model/b": np.array([step], "float32")}, {"step": step})
    average = checkpoints.average(2)
    assert average["model/x/kernel"].tolist() == [[0, 4], [8, 1]]  # mean(A) · mean(B) would make it [[1, 0], [8, 1]]
    assert average["model/b"].tolist() == [0.5]
    assert average["model/x/lora_kernel_a"].tolist() == [[-1.0], [2.0]]  # so that an adapted model can take it
    assert average["model/x/lora_kernel_b"].tolist() == [[0.0, 0.0]]
    assert merge(average).keys() == {"model/x/kernel", "model/b"}
    assert merge(average)["model/x/kernel"].tolist() == average["model/x/kernel"].tolist()
