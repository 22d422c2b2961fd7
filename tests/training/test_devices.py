import json

import keras
import numpy as np
import pytest

from tests.conftest import run_python
from tests.training import tiny
from zoo.errors import UserError
from zoo.training import devices
from zoo.training.checkpoints import Checkpoints, capture, restore

CHOICES = {"clip_norm": 1.0, "average_decay": 0.99}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_are_one(backend: str) -> None:
    # Batches with different numbers of real tokens; one device takes the same ones as two micro-batches.
    code = """
        import json
        from zoo.training import devices
        devices.prepare(deterministic=True, precision="float32", seed=1, devices=2)
        from tests.training import tiny
        from zoo.training.checkpoints import capture, restore

        choices = {"clip_norm": 1.0, "average_decay": 0.99}
        one, two, noisy = (tiny.build(r, n, **choices) for r, n in ((0.0, 1), (0.0, 2), (0.4, 2)))
        losses = [tiny.losses(step, 50, group=2) for *_, step in (one, two)]
        for values, (*_, step) in zip(losses, (one, two)):
            values.append(float(step.evaluate(tiny.batches(1)[0])["loss"]))
        first, second = capture(*one), capture(*two)
        difference = max(float(abs(first[name] - second[name]).max()) for name in first)

        counts = [float(two[2](tiny.batches(4))["count"]), sum(int(b["mask"].sum()) for b in tiny.batches(4))]
        runs = []
        for _ in range(2):
            restore(*noisy, second)
            runs.append(tiny.losses(noisy[2], 3, group=2))
        same, alone = tiny.batches(1), tiny.build(0.4, 1, **choices)
        noise = []
        for made, part in ((noisy, same * 2), (alone, same)):
            restore(*made, second)
            sums = made[2](part)
            noise.append(float(sums["loss"]) / float(sums["count"]))
        print(json.dumps([losses, difference, counts, runs, noise]))
        """
    blocked = ["tensorflow"] if backend == "jax" else []
    printed = run_python(code, backend=backend, blocked=blocked, timeout=600)
    (one, two), difference, counts, runs, noise = json.loads(printed.splitlines()[-1])
    np.testing.assert_allclose(two, one, rtol=1e-5)
    assert two[49] < 0.5 * two[0] and difference < 1e-4
    assert counts[0] == counts[1]
    assert runs[0] == runs[1]  # with dropout, from the same checkpoint
    assert noise[0] != pytest.approx(noise[1], rel=1e-4)  # the second device drops other values than the first


def five_updates(*made) -> dict[str, np.ndarray]:
    tiny.losses(made[2], 5, group=2)
    return capture(*made)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", pytest.param("torch", marks=pytest.mark.slow)])
def test_every_backend_makes_the_same_updates(backend: str, tmp_path) -> None:
    if backend == keras.backend.backend():
        pytest.skip("this process runs on it")
    made = tiny.build(**CHOICES)
    Checkpoints(tmp_path / "start").save(capture(*made), {"step": 0})
    code = """
        import sys
        from tests.training import tiny
        from tests.training.test_devices import CHOICES, five_updates
        from zoo.training.checkpoints import Checkpoints, restore

        made = tiny.build(**CHOICES)
        restore(*made, Checkpoints(sys.argv[1] + "/start").latest()[0])
        Checkpoints(sys.argv[1] + "/end").save(five_updates(*made), {"step": 5})
        """
    run_python(code, str(tmp_path), backend=backend, timeout=600)
    theirs, _ = Checkpoints(tmp_path / "end").latest()
    ours = five_updates(*made)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(theirs[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    restore(*made, theirs)  # and back: what they trained goes on here


def test_more_devices_than_there_are_is_an_error() -> None:
    with pytest.raises(
        UserError, match="on PyTorch an update runs on one device|1000 devices were asked for"
    ) as caught:
        devices.prepare(deterministic=False, precision="float32", seed=1, devices=1000)
    assert "training.accumulate" in caught.value.remedy
