"""Subword regularization: what is drawn, how often, and that it is drawn again in another process."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import run_python
from tests.preprocessing.corpora import SENTENCES, generated_lines, learning_lines
from zoo.preprocessing.sentencepiece import SentencePiece, SentencePieceChoices
from zoo.preprocessing.subword_sampling import MergeSampler, UnigramSampler

KINDS = pytest.mark.parametrize("kind", ["bpe", "unigram"])
TEXT = "the old man feeds a red book"


def fitted(kind: str = "bpe", sampling: float = 0.3, **choices: object) -> SentencePiece:
    return SentencePiece.fit(SENTENCES, SentencePieceChoices(kind=kind, vocabulary=320, sampling=sampling, **choices))


def draws(text: SentencePiece, count: int, line: str = TEXT) -> list[tuple[int, ...]]:
    return [tuple(text.encode(line, sample_rng=np.random.default_rng(seed)).tolist()) for seed in range(count)]


@KINDS
def test_every_way_says_the_same(kind):
    text = fitted(kind)
    drawn = draws(text, 300)
    assert len(set(drawn)) > 15
    assert {text.decode(ids) for ids in drawn} == {TEXT}


@KINDS
def test_without_sampling_or_generator_the_best_way_is_taken(kind):
    text = fitted(kind)
    best = text.encode(TEXT).tolist()
    assert SentencePiece(text.model, replace(text.choices, sampling=0.0)).encode(TEXT).tolist() == best
    off = SentencePiece(text.model, replace(text.choices, sampling=0.0))
    assert off.encode(TEXT, sample_rng=np.random.default_rng(0)).tolist() == best


@pytest.mark.parametrize("byte_fallback", [True, False])
def test_merging_without_dropout_is_what_the_library_does(byte_fallback):
    choices = SentencePieceChoices(vocabulary=3600, character_coverage=0.98, byte_fallback=byte_fallback)
    text = SentencePiece.fit(learning_lines(1000), choices)
    merge = MergeSampler(text._processor, dropout=0.0)
    rng = np.random.default_rng(0)
    for line in [*generated_lines(300, seed=7), *learning_lines(300), "", " ", "▁ odd ▁▁", "😀😀 x😀"]:
        line = line.replace("\0", "")
        assert merge(line, rng) == text.encode(line).tolist(), line


def test_dropping_every_merge_spells():
    text = fitted(sampling=1.0)
    assert text.pieces(draws(text, 1)[0]) == list("▁the▁old▁man▁feeds▁a▁red▁book")


def test_dropout_leaves_out_that_share_of_single_merges():
    """Two letters that make a piece stay two in `dropout` of the draws."""
    text = SentencePiece.fit(["ab"] * 9, SentencePieceChoices(vocabulary=264, sampling=0.2))
    single = [piece for piece in text.pieces(range(text.size)) if piece in ("▁a", "ab")]
    assert len(single) == 1
    counts = Counter(len(ids) for ids in draws(text, 4000, line="ab"))
    assert counts[3] / 4000 == pytest.approx(0.2, abs=0.025)


def test_unigram_draws_by_probability():
    text = fitted("unigram", sampling=0.5)
    ways = [tuple(way) for way in text._processor.nbest_encode("the teacher", nbest_size=64)]
    score = np.array([sum(text._processor.get_score(piece) for piece in way) for way in ways])
    expected = np.exp(0.5 * score) / np.exp(0.5 * score).sum()
    counts = Counter(draws(text, 2000, line="the teacher"))
    assert [counts[way] / 2000 for way in ways] == pytest.approx(expected, abs=0.04)
    even = UnigramSampler(text._processor, power=0.0)
    assert len({tuple(even("the teacher", np.random.default_rng(seed))) for seed in range(1000)}) == len(ways)


@KINDS
def test_the_same_generator_draws_the_same_in_other_threads_and_processes(kind):
    text = fitted(kind)
    drawn = draws(text, 100)
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(lambda _: draws(text, 100), range(3))) == [drawn] * 3
    code = """
        import json, sys
        from tests.preprocessing.test_subword_sampling import draws, fitted
        print(json.dumps(draws(fitted(sys.argv[1]), 100)))
        """
    assert json.loads(run_python(code, kind)) == [list(ids) for ids in drawn]
