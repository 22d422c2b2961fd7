from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from zoo.viz.attention import draw_attention, merge_pieces


def test_pieces_of_a_source_word_add_up_and_those_of_a_target_word_are_averaged():
    source, target = ["▁Two", "▁dog", "s", "</s>"], ["▁Zwei", "▁Hun", "de", "</s>"]
    weights = [[0.7, 0.1, 0.1, 0.1], [0.0, 0.6, 0.2, 0.2], [0.2, 0.0, 0.4, 0.4], [0.0, 0.0, 0.0, 1.0]]
    source_words, target_words, merged = merge_pieces(source, target, np.array(weights))
    assert source_words == ["Two", "dogs", "</s>"]
    assert target_words == ["Zwei", "Hunde", "</s>"]
    assert merged == pytest.approx(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    "pieces, words",
    [
        (["▁A", "▁dog", ".", "</s>"], ["A", "dog", ".", "</s>"]),
        (["▁Wie", "▁geht", "'", "s", "?"], ["Wie", "geht's", "?"]),
        (["▁T", "-", "Shirt", "s", "</s>"], ["T-Shirts", "</s>"]),
        (["▁", "ß", "▁", "."], ["ß", "."]),
        (["s", "▁B"], ["s", "B"]),
        (["▁"], ["▁"]),
        (["<s>", "x"], ["<s>", "x"]),
    ],
)
def test_words_of_pieces(pieces: list[str], words: list[str]):
    assert merge_pieces(pieces, ["▁a"], np.ones((1, len(pieces))))[0] == words


PIECES = st.lists(st.sampled_from(["▁", "▁un", "der", ".", "'", "▁.", "ß", "</s>"]), min_size=1, max_size=8)


@given(PIECES, PIECES, st.integers(0, 2**31))
def test_nothing_is_lost(source: list[str], target: list[str], seed: int):
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(source)), size=(2, len(target)))
    source_words, target_words, merged = merge_pieces(source, target, weights)
    assert merged.shape == (2, len(target_words), len(source_words))
    assert merged.sum(-1) == pytest.approx(1.0)
    for pieces, words in ((source, source_words), (target, target_words)):
        assert "".join(words).replace("▁", "") == "".join(pieces).replace("▁", "")


def darkest(path: Path) -> int:
    """Pixels in the colour of a weight of 1."""
    return int((np.abs(imread(path)[..., :3] * 255 - [8, 48, 107]).max(-1) < 2).sum())


def test_cells_are_dark_where_the_weights_are(tmp_path: Path):
    words = ["für", "Straße", "$x^$"]  # and no formula
    draw_attention(words, words, np.eye(3), tmp_path / "three.png")
    draw_attention(words, words, np.ones((3, 3)), tmp_path / "nine.png")
    assert darkest(tmp_path / "three.png") / darkest(tmp_path / "nine.png") == pytest.approx(1 / 3, abs=0.02)


def test_a_long_sentence_gives_a_picture_of_bounded_size(tmp_path: Path):
    words = ["wort"] * 150
    draw_attention(words, words, np.eye(150), tmp_path / "long.png")
    height, width = imread(tmp_path / "long.png").shape[:2]
    assert max(height, width) < 4000


def test_weights_of_another_sentence_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"\(2, 3\) are not those of 3 target and 2 source"):
        draw_attention(["a", "b"], ["c", "d", "e"], np.ones((2, 3)), tmp_path / "no.png")
    with pytest.raises(ValueError, match="are not those of"):
        merge_pieces(["a"], [], np.ones((0, 1)))
