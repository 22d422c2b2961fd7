"""The file of batching parameters, in the text format of protocol buffers."""

from pathlib import Path

import pytest

from zoo.errors import UserError
from zoo.serving.batching import BatchingParameters, read_parameters


def write(folder: Path, text: str) -> Path:
    (folder / "batching_parameters.txt").write_text(text)
    return folder / "batching_parameters.txt"


def test_a_file_of_parameters(tmp_path: Path) -> None:
    text = """
        max_batch_size { value: 8 }  # a remark
        batch_timeout_micros { value: 0 }
        max_enqueued_batches: { value: 5 }
        num_batch_threads { value: 3 }
        allowed_batch_sizes: 2
        allowed_batch_sizes: 8
        pad_variable_length_inputs: true
    """
    assert read_parameters(write(tmp_path, text)) == BatchingParameters(
        max_batch_size=8,
        batch_timeout_micros=0,
        max_enqueued_batches=5,
        num_batch_threads=3,
        thread_pool_name="batch_threads",
        allowed_batch_sizes=(2, 8),
        pad_variable_length_inputs=True,
    )
    empty = read_parameters(write(tmp_path, ""))
    assert (empty.max_batch_size, empty.batch_timeout_micros, empty.max_enqueued_batches) == (1000, 0, 10)
    assert empty.num_batch_threads >= 1 and not empty.enable_large_batch_splitting
    split = "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 }"
    assert read_parameters(write(tmp_path, split)).execution_batch_size == 4
    assert read_parameters(write(tmp_path, "max_execution_batch_size { value: 4 }")).execution_batch_size == 1000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_batch { value: 8 }", 'has no field named "max_batch"'),
        ("max_batch_size: 8", "1:"),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 1000",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 5 allowed_batch_sizes: 4",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            (
                "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
                "max_execution_batch_size { value: 2 } allowed_batch_sizes: 4"
            ),
            "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was 4; expected 2",
        ),
        (
            (
                "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
                "max_execution_batch_size { value: 8 }"
            ),
            "input_batch_size_limit must be greater than or equal to max_execution_batch_size",
        ),
    ],
)
def test_mistakes_in_a_file_of_parameters(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_parameters(path)
    assert complaint in caught.value.problem and caught.value.where == str(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_parameters(tmp_path / "none.txt")
