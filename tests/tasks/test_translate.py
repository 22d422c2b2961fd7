"""The translate task: batches by hand, filters, subword sampling, sizes from data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import recipe as recipes
from zoo.data.plan import Shape
from zoo.data.readers import open_table
from zoo.errors import UserError
from zoo.preprocessing.sentencepiece import SentencePiece, SentencePieceChoices
from zoo.tasks.translate import Translate, check_languages
from zoo.tasks.translate_sizes import SIZES, Survey, propose, survey

LINES = ["a dog runs in the garden", "the old man sees a small dog", "two women sleep in the old garden"] * 5


def made(**tables):
    return recipes.made("translate", "test", "", tables, Translate.schema())


@pytest.fixture(scope="module")
def vocabulary():
    return SentencePiece.fit(LINES, SentencePieceChoices(vocabulary=330))


def task(vocabulary, **tables):
    found = Translate(made(**tables))
    found.preprocessors = {"source": vocabulary, "target": vocabulary}
    return found


def test_a_batch_is_what_the_contract_says(vocabulary):
    rows = [
        {"source": np.array([10, 11], "int32"), "target": np.array([12, 13, 14], "int32")},
        {"source": np.array([15], "int32"), "target": np.array([16], "int32")},
    ]
    batch = task(vocabulary).make_batch(rows, Shape(3, (3, 4)))
    assert batch["source_ids"].tolist() == [[10, 11, 3], [15, 3, 0], [0, 0, 0]]
    assert batch["target_ids"].tolist() == [[2, 12, 13, 14], [2, 16, 0, 0], [0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[12, 13, 14, 3], [16, 3, 0, 0], [0, 0, 0, 0]]
    assert batch["source_mask"].tolist() == [[True] * 3, [True, True, False], [False] * 3]
    assert batch["target_mask"].tolist() == [[True] * 4, [True, True, False, False], [False] * 4]


def test_lengths_are_those_of_the_batch(vocabulary):
    translate = task(vocabulary)
    row = translate.encode({"source": LINES[0], "target": LINES[1]})
    batch = translate.make_batch([row], Shape(1, translate.lengths(row)))
    assert batch["source_mask"].all() and batch["target_mask"].all()


def test_pairs_that_are_left_out(vocabulary):
    translate = task(vocabulary, data={"max_length": 30, "max_ratio": 2.0})

    def reason(source, target):
        return translate.keep({}, {"source": np.zeros(source), "target": np.zeros(target)})

    assert reason(10, 12) is None
    assert reason(0, 4) == "an empty side"
    assert reason(31, 30) == "over 30 pieces"
    assert reason(5, 20) is None and reason(5, 21) == "sides differ by a factor over 2"


def test_sampled_rows_fit_their_plan_and_spell_the_same_text(vocabulary):
    sampling = SentencePiece(vocabulary.model, SentencePieceChoices(vocabulary=330, sampling=0.1))
    translate = task(sampling, preprocessing={"vocabulary": 330, "sampling": 0.1})
    row = translate.encode({"source": LINES[0], "target": LINES[2]})
    drawn = [translate.transform(row, np.random.default_rng(seed)) for seed in range(30)]
    for each in drawn:
        assert all(len(each[s]) < room for s, room in zip(("source", "target"), translate.lengths(row), strict=True))
        assert sampling.decode(each["source"]) == LINES[0] and sampling.decode(each["target"]) == LINES[2]
    assert len({tuple(each["source"]) for each in drawn}) > 1
    assert translate.transform(row, np.random.default_rng(3))["source"].tolist() == drawn[3]["source"].tolist()


@given(
    pairs=st.integers(1, 10**8), length=st.integers(1, 60), types=st.integers(1, 10**6), characters=st.integers(1, 5000)
)
@settings(max_examples=200, deadline=None)
def test_any_corpus_gives_a_recipe_that_reads(pairs, length, types, characters):
    tables = propose(Survey(pairs, pairs * length, types, characters))
    recipe = made(**tables, data={"train": {"source": "a", "target": "b"}})
    assert recipe.training.warmup < recipe.training.steps
    assert recipe.model.preset in {row[1] for row in SIZES}


def test_a_survey_counts_and_complains(tmp_path):
    (tmp_path / "a").write_text("one two\n\nthree three\n", encoding="utf-8")
    (tmp_path / "b").write_text("eins zwei\nnichts\ndrei drei\n", encoding="utf-8")
    files = {"source": str(tmp_path / "a"), "target": str(tmp_path / "b")}
    found = survey(open_table(files, {"source": "source", "target": "target"}))
    assert (found.pairs, found.words, found.types) == (2, 8, 6)
    (tmp_path / "b").write_text("\nx\n\n", encoding="utf-8")
    with pytest.raises(UserError, match="no pair has text on both sides"):
        survey(open_table(files, {"source": "source", "target": "target"}))


@pytest.mark.parametrize("name", ["debug", "toy", "multi30k-en-de", "multi30k-en-fr"])
def test_recipes_that_come_with_zoo(name):
    recipe = recipes.read(recipes.find("translate", name), Translate.schema())
    check_languages(recipe)
    assert f"--recipe {name}" in recipe.header


def test_a_language_is_a_code():
    with pytest.raises(UserError, match="German"):
        check_languages(made(export={"target_language": "German"}))
