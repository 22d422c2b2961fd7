import numpy as np
import pytest
from matplotlib.image import imread

from apps.show import main
from tests.conftest import ROOT


def shown(path) -> np.ndarray:
    image = imread(path)
    assert image.shape[2] == 4 and image[..., :3].std() > 0.05  # something is drawn
    return image


def test_all_schedules_in_one_picture(tmp_path, capsys):
    picture = tmp_path / "rates.png"
    assert main(["schedules", "--steps", "100", "--warmup", "20", "--peak-rate", "0.01", "--output", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("peak 0.01 at update 20;") == 5
    assert "inverse_square_root   peak 0.01 at update 20; the last of 100: 0.00447" in printed
    shown(picture)


def test_the_schedule_of_a_recipe(tmp_path, capsys):
    recipe = ROOT / "zoo" / "recipes" / "translate" / "debug.toml"
    for name in ("translate/debug", str(recipe)):
        assert main(["schedules", "--recipe", name, "--output", str(tmp_path / "rates.png")]) == 0
        assert "peak 0.001 at update 10; the last of 40: 0.0005" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["debug", "translate/none", "translation/debug"])
def test_an_unknown_recipe_is_an_error(name, tmp_path, capsys):
    assert main(["schedules", "--recipe", name, "--output", str(tmp_path / "rates.png")]) == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((1.0, 3.0, 1.1), "3.0 times the loss that it has with it, and pre-norm does not need it"),
        ((1.0, 3.0, 2.0), "3.0 times the loss that it has with it, and pre-norm alone is no full replacement here"),
        ((1.0, 1.1, 1.0), "learned without warm-up too"),
        ((1.0, float("nan"), 1.0), "diverged"),
    ],
)
def test_the_verdict_is_what_the_losses_say(ends, said):
    from apps.commands.show import verdict

    assert said in verdict(dict(zip("abc", ends, strict=True)))


@pytest.mark.slow
def test_without_warm_up_post_norm_learns_nothing(tmp_path, capsys):
    picture = tmp_path / "warmup.png"
    arguments = ["warmup", "--steps", "150", "--folder", str(tmp_path / "run"), "--output", str(picture)]
    assert main([*arguments, "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "Without warm-up the post-norm model ends at" in printed
    assert "pre-norm does not need it" in printed
    shown(picture)
