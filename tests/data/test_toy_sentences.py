from zoo.data import registry
from zoo.data.conll import check_sentence
from zoo.data.sets.toy_sentences import ADJECTIVES, ROWS, reviews
from zoo.data.squad import check_answers

COLUMNS = registry.columns("toy_sentences")


def rows(split):
    return list(registry.load("toy_sentences", split, {name: name for name in COLUMNS}))


def test_the_same_rows_each_time_and_no_sentence_in_two_splits():
    texts = {split: {row.values["text"] for row in rows(split)} for split in ROWS}
    assert rows("test") == rows("test") and len(rows("test")) == ROWS["test"]
    assert not texts["train"] & (texts["validation"] | texts["test"]) and not texts["validation"] & texts["test"]


def test_labels_follow_from_the_words():
    for review in reviews("train"):
        last = review.text.split(" but ")[-1].split()
        label = next(label for label, words in ADJECTIVES.items() if last[-1] in words)
        assert review.label == (label if "not" not in last else {"positive": "negative", "negative": "positive"}[label])
        assert 1 <= len(review.topics) <= 2
    counts = [sum(review.label == label for review in reviews("train")) for label in ADJECTIVES]
    assert min(counts) > 0.45 * sum(counts)


def test_points_of_a_pair():
    labels = {row.values["text"]: (row.values["label"], row.values["topics"]) for row in rows("validation")}
    for row in rows("validation"):
        label, topics = labels[row.values["other"]]
        common = bool(set(topics) & set(row.values["topics"]))
        assert row.values["score"] == 2.0 * common + 3.0 * (label == row.values["label"])


def test_tags_and_answers_stand_in_the_sentence():
    for row in rows("test"):
        values = row.values
        check_sentence(values["words"], values["tags"])
        check_answers(values["text"], values["answers"])
        noun = values["question"].split()[-1]
        assert values["text"].endswith(values["answers"][0]["text"]) and noun in values["words"]
        assert {tag[2:] for tag in values["tags"] if tag != "O"} == set(values["topics"])
