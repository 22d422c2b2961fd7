import pickle

import pytest

from zoo.errors import UserError, nearest


def test_an_error_reads_where_problem_remedy():
    assert (
        str(UserError("empty file.", where="my.en", remedy="Give it lines.")) == "my.en: empty file.\n  Give it lines."
    )
    assert str(UserError("empty file.")) == "empty file."
    assert str(UserError("empty file.", remedy="Give it lines.")) == "empty file.\n  Give it lines."


def test_an_error_of_a_worker_process_arrives_whole():
    error = pickle.loads(pickle.dumps(UserError("empty file.", where="my.en:3", remedy="Give it lines.")))
    assert (error.problem, error.where, error.remedy) == ("empty file.", "my.en:3", "Give it lines.")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stpes", ' Did you mean "steps"?'),
        ("STEPS", ' Did you mean "steps"?'),
        ("warm_up", ' Did you mean "Warmup"?'),
        ("elephant", ""),
        ("", ""),
    ],
)
def test_nearest(name: str, hint: str):
    assert nearest(name, ["steps", "rate", "Warmup"]) == hint
