import numpy as np
import pytest

from tests.conftest import run_python
from zoo.decoding.choices import Prefix, SearchChoices
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"beam": 0}, "beam"),
        ({"length_penalty": -0.5}, "length_penalty"),
        ({"temperature": 1.0, "beam": 1, "top_p": 0.0}, "top_p"),
        ({"beam": 1, "temperature": 1.0, "top_p": 1.5}, "top_p"),
        ({"repetition_penalty": 0.5}, "repetition_penalty"),
        ({"beam": 4, "n_best": 5}, "n_best"),
        ({"top_k": 10}, "top_k"),
        ({"top_p": 0.9}, "top_p"),
        ({"beam": 5, "temperature": 0.7}, "beam"),
    ],
)
def test_choices_that_do_not_go_together_are_refused_by_name(fields, where):
    with pytest.raises(UserError) as error:
        SearchChoices(**fields)
    assert error.value.where == where


def test_a_row_is_followed_by_its_beam_or_by_its_samples():
    assert SearchChoices(beam=4, n_best=2).width == 4
    assert SearchChoices(beam=1, n_best=3, temperature=0.8).width == 3


def test_a_prefix_is_packed():
    prefix = Prefix.of([[4, 5], [], [6]])
    np.testing.assert_array_equal(prefix.ids, [[4, 5], [0, 0], [6, 0]])
    np.testing.assert_array_equal(prefix.lengths, [2, 0, 1])
    assert Prefix.of([[], []]).ids.shape == (2, 0)


def test_the_choices_load_no_keras():
    run_python("import sys, zoo.decoding.choices; assert 'keras' not in sys.modules")
