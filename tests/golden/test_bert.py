import pytest

from tests.arrays import array, assert_near
from tests.golden import bert
from tests.models.transformers_encoders import PAIRS


@pytest.mark.parametrize("kind, head", PAIRS)
def test_the_golden_encoders_answer_as_transformers_did(kind: str, head: str):
    model, inputs, expected = bert.read(kind, head)
    assert_near(bert.real(array(model(inputs)), inputs), bert.real(expected, inputs))


def test_the_golden_file_is_small():
    assert bert.FILE.stat().st_size < 100_000
