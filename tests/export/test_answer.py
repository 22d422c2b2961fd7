"""The graph of a reader: contexts of several windows, no answer, several answers, bytes that are no text."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.arrays import scatter
from tests.tasks.encoders import VOCABULARY, made
from zoo.export.answer import CHUNK, build
from zoo.export.bundle import Bundle, by_input
from zoo.tasks.answer import N_BEST, NEVER

DATA = {"max_length": 32, "max_question": 4, "max_context": 60, "stride": 8}
QUESTION = "not the film was so bad"  # two pieces more than are read
WORDS = np.array([word for word in VOCABULARY[5:] if word.isalpha()])


def reader(size: float = 0.1, **decoding: Any):
    """A task, a model of it that says what it likes, and its graph."""
    task = made("answer", data=DATA, decoding={"longest": 3, **decoding})
    model = scatter(task.build_model(3), size=size)
    return SimpleNamespace(task=task, model=model, graph=build(Bundle(task, model, []), "float32"))


@pytest.fixture(scope="module")
def plain():
    return reader()


def ask(reader: Any, signature: str, *raws: tuple[Any, Any]) -> dict[str, list[Any]]:
    inputs = {name: tf.constant(each) for name, each in by_input(["question", "context"], raws).items()}
    return {name: each.numpy().tolist() for name, each in reader.graph.functions[signature](**inputs).items()}


def text(seed: int, words: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


def test_answers_in_any_window_are_those_of_the_model(plain):
    raws = [(QUESTION, text(seed, words)) for seed, words in enumerate([56, 3, 40, 60, 25, 1, 26, 48, 60, 60, 58, 59])]
    raws += [("", raws[0][1]), ("film", raws[2][1])]  # a shorter question leaves more room
    encode = plain.task.subwords.encode
    assert sum(len(plain.task.windows(asked, encode(context))) for asked, context in raws) > CHUNK
    found, expected = ask(plain, "serving_default", *raws), plain.graph.reference(raws)
    assert [each.decode() for each in found["answer"]] == expected["answer"]
    assert (found["start"], found["end"]) == (expected["start"], expected["end"])
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-4)
    for answer, start, end, (_, context) in zip(
        *(found[name] for name in ("answer", "start", "end")), raws, strict=True
    ):
        assert context[start:end] == answer.decode() and 1 <= len(answer.split()) <= 3
    places = [context[:start].count(" ") for start, (_, context) in zip(found["start"], raws, strict=True)]
    room = 32 - 4 - 3
    assert max(places) >= room + 8, "none stands behind the second window"


def test_what_stands_behind_the_bound_is_not_looked_at(plain):
    context = text(1, 60)
    longer, cut = ask(plain, "n_best", (QUESTION, context + " " + text(2, 500)), (QUESTION, context))["answers"]
    assert longer == cut
    assert plain.graph.limits["context_pieces"] == 60


def test_what_stands_behind_the_bounds_is_not_even_made_into_pieces(plain, monkeypatch):
    module, made = plain.graph.module, []
    tokenize = module.text.tokenize
    monkeypatch.setattr(module.text, "tokenize", lambda *given: made.append(tokenize(*given)) or made[-1])
    module.n_best.python_function(tf.constant(["film " * 900]), tf.constant(["film " * 9000]))
    assert [ids.row_lengths().numpy().tolist() for ids, _, _ in made] == [[4], [60]]


def test_no_answer_is_told_where_it_is_likelier(plain):
    raws = [(QUESTION, text(seed, 20 + seed)) for seed in range(12)]
    scores = ask(plain, "serving_default", *raws)["score"]
    middle = float(np.median(scores))
    choosy = reader(no_answer=True, threshold=-middle)
    found, expected = ask(choosy, "serving_default", *raws), choosy.graph.reference(raws)
    np.testing.assert_allclose(found["score"], scores, atol=1e-4)
    none = np.array(scores) < middle
    assert none.sum() == 6
    assert [answer == b"" for answer in found["answer"]] == none.tolist() == [not each for each in expected["answer"]]
    assert [(start, end) == (0, 0) for start, end in zip(found["start"], found["end"], strict=True)] == none.tolist()
    assert b"" not in [row[0] for row in ask(choosy, "n_best", *raws)["answers"]], "stretches, whatever is likelier"


def test_several_answers_are_distinct_and_likeliest_first(plain):
    raws = [(QUESTION, text(7, 56)), (QUESTION, text(8, 30)), (QUESTION, "good"), (QUESTION, "so bad"), (QUESTION, "")]
    found, expected = ask(plain, "n_best", *raws), plain.task.find_n_best(plain.model, raws)
    for row, wanted in enumerate(expected):
        answers, starts, ends, scores = (found[f"{name}s"][row] for name in wanted[0]._fields)
        assert [each.decode() for each in answers] == [each.answer for each in wanted]
        assert list(zip(starts, ends, strict=True)) == [(each.start, each.end) for each in wanted]
        np.testing.assert_allclose(scores, [each.score for each in wanted], atol=1e-4)
        assert len(scores) == N_BEST and scores == sorted(scores, reverse=True)
        there = [place for place, score in zip(zip(starts, ends, strict=True), scores, strict=True) if score > NEVER]
        assert len(set(there)) == len(there) == [5, 5, 1, 3, 0][row]
        assert answers[len(there) :] == [b""] * (N_BEST - len(there))
    one = ask(plain, "serving_default", *raws)
    for name in ("answer", "start", "end", "score"):
        assert one[name] == [row[0] for row in found[f"{name}s"]]


def test_bytes_that_are_no_text_are_replaced(plain):
    broken = b"\xff\xfe the \xe4 film \xf0\x9f\x98\x80 was \x80 good \xc3".ljust(60, b"\xff")
    seen = broken.decode("utf-8", "replace")
    found, same = (ask(plain, "n_best", (b"the \xff film", each)) for each in (broken, seen))
    assert found == same
    for answer, start, end in zip(*(found[name][0] for name in ("answers", "starts", "ends")), strict=True):
        assert answer.decode() == seen[start:end] != ""


@pytest.mark.parametrize("signature", ["serving_default", "n_best"])
def test_a_question_without_a_context_is_refused(plain, signature):
    with pytest.raises(tf.errors.InvalidArgumentError, match="a context for each question"):
        plain.graph.functions[signature](question=tf.constant(["good", "bad"]), context=tf.constant(["a film"]))
