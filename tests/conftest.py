"""What all tests share: the environment they run in, the data they may need, fresh processes."""

import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent

# Before any test file is imported, since Keras and TensorFlow read these once.
os.environ.setdefault("ZOO_DATA", str(ROOT.parent / "shared" / "data"))
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# No deadline for one example: how long it takes says more of the machine's other work than of the code.
hypothesis.settings.register_profile("zoo", deadline=None)
hypothesis.settings.load_profile("zoo")


def needs_data(path: str) -> pytest.MarkDecorator:
    """Skips a test where `path` is not below $ZOO_DATA: @needs_data("text/multi30k")."""
    full = Path(os.environ["ZOO_DATA"]) / path
    return pytest.mark.skipif(not full.exists(), reason=f"needs {path} below ZOO_DATA ({os.environ['ZOO_DATA']})")


def data(path: str) -> Path:
    """A file or folder below $ZOO_DATA."""
    return Path(os.environ["ZOO_DATA"]) / path


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    """Command lines choose a backend for their process; a test must not choose it for those after it."""
    before = os.environ["KERAS_BACKEND"]
    yield
    os.environ["KERAS_BACKEND"] = before


@pytest.fixture(autouse=True)
def seeds() -> Iterator[None]:
    """The same random numbers for each test, whichever ran before it."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
    yield


@pytest.fixture(autouse=True)
def not_quiet() -> Iterator[None]:
    """A command line that a test calls may be told to be quiet, for its process."""
    from zoo.progress import be_quiet

    yield
    be_quiet(False)


@pytest.fixture(autouse=True)
def determinism() -> Iterator[None]:
    """A training that is to be repeatable says so for its process; TensorFlow then refuses to draw without a seed."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


DEVICES = {
    "tensorflow": """
        import tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * {devices})
        """,
    "jax": """
        import os
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count={devices}"
        """,
    "torch": "",
}
BLOCK = """
    import sys
    for name in {blocked!r}:
        sys.modules[name] = None
    """


def run_python(
    code: str,
    *arguments: str,
    backend: str | None = None,
    devices: int = 1,
    blocked: Sequence[str] = (),
    timeout: float = 120,
) -> str:
    """Runs code in a fresh Python at the root of the repository and returns what it printed.

    Args:
        code: may be indented; `arguments` are its sys.argv[1:].
        backend: for KERAS_BACKEND; None keeps the one of this process.
        devices: logical CPU devices that it sees (TensorFlow and JAX).
        blocked: modules whose import fails there, as if they were not installed.
    Raises: AssertionError with its output where it did not end well.
    """
    backend = backend or os.environ["KERAS_BACKEND"]
    parts = [BLOCK.format(blocked=tuple(blocked)) if blocked else ""]
    parts += [DEVICES[backend].format(devices=devices) if devices > 1 else "", code]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(textwrap.dedent(part) for part in parts), *arguments],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout
