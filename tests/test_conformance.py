from pathlib import Path

import pytest

from tests import conformance
from tests.conformance import Family
from zoo.models.registry import FAMILIES


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return Family(request.param)


CHECKS = (
    conformance.check_presets,
    conformance.check_config_refuses,
    conformance.check_documented,
    conformance.check_symbolic,
    conformance.check_rows_are_independent,
    conformance.check_variables,
    conformance.check_seeds,
    conformance.check_learns,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_family(family: Family, check):
    check(family)


def test_family_saves(family: Family, tmp_path: Path):
    conformance.check_saves(family, tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_family_in_half_precision(family: Family, dtype: str):
    conformance.check_precision(family, dtype)


def test_family_generates_step_by_step(family: Family):
    if not hasattr(family.kind, "step"):
        pytest.skip("does not generate")
    conformance.check_steps(family)
