"""The tagger: tags to pieces and back to entities with their places, by hand; a toy that is learned."""

import numpy as np
import pytest

from tests.tasks.encoders import CLS, FILM, LIKE, LY, PLAY, SEP, THE, UN, UNKNOWN, S, learn, made, sums
from zoo.data.plan import Shape
from zoo.data.readers import Example
from zoo.errors import UserError
from zoo.tasks.tag import Entity, tags_of

LABELS = ("B-x", "B-y", "I-x", "I-y", "O")


def test_the_first_piece_of_a_word_carries_its_tag():
    task = made("tag", LABELS)
    row = task.encode({"words": ["the", "plays", "unlikely", "film"], "tags": ["O", "B-x", "I-x", "B-y"]})
    assert row["ids"].tolist() == [CLS, THE, PLAY, S, UN, LIKE, LY, FILM, SEP]
    assert row["tags"].tolist() == [-1, 4, 0, -1, 2, -1, -1, 1, -1]
    batch = task.make_batch([row], Shape(2, (10,)))
    assert batch["tags"].tolist() == [[-1, 4, 0, -1, 2, -1, -1, 1, -1, -1], [-1] * 10]


def test_a_long_sentence_loses_its_end():
    task = made("tag", LABELS, data={"max_length": 8})
    row = task.encode({"words": ["unlikely", "plays", "unlikely"], "tags": ["B-x", "B-y", "O"]})
    assert row["ids"].tolist() == [CLS, UN, LIKE, LY, PLAY, S, UN, SEP]
    assert row["tags"].tolist() == [-1, 0, -1, -1, 1, -1, 4, -1]


def test_loss_by_hand():
    task = made("tag", LABELS)
    batch = task.make_batch([task.encode({"words": ["plays", "the"], "tags": ["B-x", "O"]})], Shape(1, (6,)))
    logits = np.zeros((1, 6, 5), "float32")
    logits[0, 1, 0] = np.log(4.0)
    found = sums(task, lambda inputs, training: logits, batch, True)
    assert found["loss"] == pytest.approx(np.log(2.0) + np.log(5.0), rel=1e-5)
    assert found["count"] == 2.0


def probabilities(*tags):
    return np.array([[0.9 if name == tag else 0.025 for name in LABELS] for tag in tags], "float32")


def test_words_become_entities_with_their_places():
    task = made("tag", LABELS)
    text = "Ann Lee (of 7-Up), née Üñ"
    offsets = np.array([[0, 3], [4, 7], [8, 9], [9, 11], [12, 13], [13, 14], [14, 16], [16, 18], [19, 22], [23, 25]])
    found = task.entities(text, offsets, probabilities("B-x", "I-x", "O", "B-y", "B-y", "O", "B-x", "O", "O", "I-x"))
    assert [each[:4] for each in found] == [("Ann Lee", "x", 0, 7), ("7-Up", "y", 12, 16), ("Üñ", "x", 23, 25)]
    assert all(text[each.start : each.end] == each.text for each in found)
    assert [each.score for each in found] == pytest.approx([0.9] * 3)
    assert task.entities("", np.zeros((0, 2), int), np.zeros((0, 5))) == []


def test_white_space_divides_words_where_it_has_pieces_of_its_own():
    """As of byte pairs: ends of lines with a place, a blank without one, one that is bytes of a character."""
    task = made("tag", LABELS)
    text = "\nto\n\nthe  big\u00a0cat\n"
    places = [
        (0, 1),
        (1, 3),
        (3, 4),
        (4, 5),
        (5, 8),
        (9, 9),
        (10, 12),
        (12, 13),
        (13, 14),
        (13, 14),
        (14, 17),
        (17, 18),
    ]
    tags = ["O", "B-x", "O", "O", "B-y", "B-x", "I-y", "O", "O", "O", "B-x", "B-x"]
    found = task.entities(text, np.array(places), probabilities(*tags))
    expected = [("to", "x", 1, 3), ("the  big", "y", 5, 13), ("cat", "x", 14, 17)]
    assert [each[:4] for each in found] == expected
    assert task.entities("\n ", np.array([[0, 1], [2, 2]]), probabilities("B-x", "B-x")) == []


def test_entities_side_by_side_and_one_that_begins_inside():
    task = made("tag", LABELS)
    offsets = np.array([[i, i + 1] for i in range(0, 12, 2)])
    found = task.entities("a b c d e f", offsets, probabilities("B-x", "B-x", "I-y", "I-y", "I-x", "O"))
    assert [each[:4] for each in found] == [("a", "x", 0, 1), ("b", "x", 2, 3), ("c d", "y", 4, 7), ("e", "x", 8, 9)]


def test_entities_become_tags_of_words_again():
    words = ["Ann", "Lee", "(", "7-Up", ")"]
    entities = [Entity("Ann Lee", "x", 0, 7, 0.9), Entity("7-Up", "y", 10, 14, 0.9)]
    assert tags_of(words, entities) == ["B-x", "I-x", "O", "B-y", "O"]
    assert tags_of(words, []) == ["O"] * 5 and tags_of([], []) == []


def test_labels_are_the_tags_in_iob2_both_of_each_kind():
    task = made("tag")
    rows = [Example({"words": ["a", "b"], "tags": tags}, "x:1") for tags in (["O", "S-x"], ["B-y", "E-y"])]
    task.adopt({"text": task.subwords}, rows)
    assert task.labels.names == LABELS
    with pytest.raises(UserError, match="1 tags for 2 words") as caught:
        task.adopt({"text": task.subwords}, [*rows, Example({"words": ["a", "b"], "tags": ["O"]}, "x:9")])
    assert caught.value.where == "x:9"


def test_learns_and_answers():
    task = made("tag", LABELS)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(48):
        kinds = rng.choice(["O", "x", "y"], rng.integers(1, 5))
        words = [{"O": "the", "x": "plays", "y": "film"}[kind] for kind in kinds]
        values.append({"words": words, "tags": ["O" if kind == "O" else f"B-{kind}" for kind in kinds]})
    model = learn(task, [task.encode(each) for each in values], 30)
    asked = [task.raw(each) for each in values]
    found = task.predict(model, asked)
    assert [tags_of(v["words"], f) for v, f in zip(values, found, strict=True)] == [each["tags"] for each in values]
    assert task.predict(model, ["the plays, the film"])[0][0][:4] == ("plays", "x", 4, 9)
    assert task.predict(model, [""]) == [[]]
    assert task.encode({"words": ["zz"], "tags": ["O"]})["ids"].tolist() == [CLS, UNKNOWN, SEP]


def test_signatures_are_frozen():
    task = made("tag", LABELS)
    signatures = task.signatures()
    outputs = ["entities", "labels", "starts", "ends", "scores", "count", "truncated"]
    assert list(signatures["serving_default"].outputs) == outputs
    row = {
        "entities": ["Ann", ""],
        "labels": ["x", ""],
        "starts": [0, 0],
        "ends": [3, 0],
        "scores": [0.5, 0.0],
        "count": 1,
    }
    assert task.answer(row) == [Entity("Ann", "x", 0, 3, 0.5)]


def test_scores_of_known_answers():
    task = made("tag", LABELS)
    values = {"words": ["Ann", "Lee", "(", "7-Up", ")"], "tags": ["B-x", "I-x", "O", "S-y", "O"]}
    reference = task.reference(values)
    right = [Entity("Ann Lee", "x", 0, 7, 0.9), Entity("7-Up", "y", 10, 14, 0.9)]
    assert task.score([right], [reference])[0].value == 100.0
    f1, precision, recall = task.score([right[:1]], [reference])
    assert (f1.value, precision.value, recall.value) == pytest.approx((200 / 3, 100.0, 50.0))
    by_label = task.scores_by_label([right[:1]], [reference])
    assert [(s.name, s.value) for s in by_label] == [("F1 of x", 100.0), ("F1 of y", 0.0)]
    parts = made("tag", ("NOUN", "VERB"))
    reference = parts.reference({"words": ["Ann", "ran"], "tags": ["NOUN", "VERB"]})
    found = [Entity("Ann", "NOUN", 0, 3, 0.9), Entity("ran", "NOUN", 4, 7, 0.9)]
    assert [(s.name, s.value) for s in parts.score([found], [reference])] == [("accuracy", 50.0)]
    by_label = [(s.name, s.value) for s in parts.scores_by_label([found], [reference])]
    assert by_label == [("F1 of NOUN", pytest.approx(200 / 3)), ("F1 of VERB", 0.0)]
