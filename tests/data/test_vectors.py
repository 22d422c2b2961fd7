"""Vectors on disk, and what is near what: against brute force, over many blocks, and after a stop."""

import os
import resource
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data import vectors
from zoo.data.vectors import kept_vectors, nearest, nearest_pairs
from zoo.errors import UserError


def drawn(rows: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(rows, 3)).astype("float32")
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def cut(whole: np.ndarray, size: int) -> list[np.ndarray]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 25), st.integers(0, 99))
def test_nearest_is_brute_force_however_the_blocks_are_cut(rows, size, most, seed):
    whole, queries = drawn(rows, seed), drawn(4, seed + 1)
    scores, found = nearest(queries, cut(whole, size), most)
    cosines = queries @ whole.T
    assert scores == pytest.approx(-np.sort(-cosines, axis=1)[:, :most], abs=1e-6)
    assert scores == pytest.approx(np.take_along_axis(cosines, found, 1), abs=1e-6)
    assert all(len(set(row)) == len(row) for row in found.tolist())


@given(st.integers(1, 16), st.integers(1, 7), st.integers(1, 200), st.integers(0, 99))
def test_pairs_are_brute_force_however_the_blocks_are_cut(rows, size, most, seed):
    whole = drawn(rows, seed)
    cosines = whole @ whole.T
    expected = sorted((float(cosines[pair]) for pair in combinations(range(rows), 2)), reverse=True)[:most]
    found = nearest_pairs(cut(whole, size), most)
    assert [each.score for each in found] == pytest.approx(expected, abs=1e-6)
    assert [each.score for each in found] == pytest.approx([float(cosines[each[1:]]) for each in found], abs=1e-6)
    assert len({each[1:] for each in found}) == len(found) and all(each.first < each.second for each in found)


def test_of_equals_the_earlier_is_first():
    one = np.tile(np.float32([[1.0, 0.0]]), (3, 1))
    assert nearest(one[:1], cut(one, 2), 3)[1].tolist() == [[0, 1, 2]]
    assert [each[1:] for each in nearest_pairs(cut(one, 2), 3)] == [(0, 1), (0, 2), (1, 2)]


def test_vectors_are_made_once_and_what_was_stopped_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 3)
    whole, asked = drawn(8, 0), []

    def embed(texts):
        asked.append(list(texts))
        if "6" in texts and len(asked) < 4:
            raise KeyboardInterrupt
        return whole[[int(text) for text in texts]]

    texts, folder = [str(number) for number in range(8)], tmp_path / "a" / "b"
    with pytest.raises(KeyboardInterrupt):
        kept_vectors(texts, embed, folder)
    for _ in range(2):
        blocks = kept_vectors(texts, embed, folder)
    assert asked == [["0", "1", "2"], ["3", "4", "5"], ["6", "7"], ["6", "7"]]
    assert [len(block) for block in blocks] == [3, 3, 2]
    assert np.array_equal(np.vstack(blocks), whole) and blocks[0].dtype == np.float32
    assert sorted(path.name for path in folder.iterdir()) == ["000000000.npy", "000000003.npy", "000000006.npy"]


def test_there_may_be_more_blocks_than_files_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = len(os.listdir("/dev/fd")) + 50
    whole = drawn(many, 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (many, hard))
    try:
        blocks = kept_vectors([*map(str, range(many))], lambda texts: whole[[int(text) for text in texts]], tmp_path)
        assert len(blocks) == many
        assert nearest(whole[:3], blocks, 1)[1].tolist() == [[0], [1], [2]]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as caught:
        kept_vectors(["a"], lambda texts: drawn(1, 0), tmp_path / "file" / "vectors")
    assert "ZOO_CACHE" in caught.value.remedy
