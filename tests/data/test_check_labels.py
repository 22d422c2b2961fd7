"""What is said of labelled texts before a training."""

import pytest

from tests.conftest import needs_data
from zoo.data import registry
from zoo.data.check import render
from zoo.data.check_labels import check_labelled
from zoo.data.tables import Example, Table


class Rows(Table):
    """A table in memory."""

    def __init__(self, name, rows, columns=("text", "label")):
        self.columns = columns
        self.examples = [
            Example(dict(zip(columns, row, strict=True)), f"{name}:{number}") for number, row in enumerate(rows, 1)
        ]

    def __iter__(self):
        return iter(self.examples)


def found(report) -> dict[tuple[str, str], tuple[int, list[str]]]:
    return {
        (finding.part, finding.kind): (finding.count, [place for place, _ in finding.examples])
        for finding in report.findings
    }


GOOD = [(f"text {number}", label) for number, label in enumerate(["good", "bad"] * 10)]


def test_clean_rows_bring_no_finding_and_the_labels_are_counted():
    report = check_labelled(Rows("train", [*GOOD, ("one more", "bad")]), test=Rows("test", [("another", "good")]))
    assert report.findings == []
    assert report.rows == {"train": 21, "test": 1}
    assert render(report) == (
        "Looked at 21 rows of train, 1 rows of test.\nLabels of train: bad 11, good 10.\nNothing to complain of."
    )


@pytest.mark.parametrize(
    ("kind", "rows", "places"),
    [
        ("empty", [(" ", "good")], ["train:21"]),
        ("no label", [("unlabelled", "")], ["train:21"]),
        ("two labels", [("text 0", "bad")], ["train:21"]),
        ("duplicate", [("text 0", "good"), ("text 0", "good")], ["train:21", "train:22"]),
        ("few", [("strange", "ugly"), ("stranger", "ugly")], ["train:21"]),
        ("lines", [("swallowed\n5,row", "bad")], ["train:21"]),
        ("mojibake", [("donâ€™t go", "bad")], ["train:21"]),
        ("long", [("word " * 251, "bad")], ["train:21"]),
        ("control", [("a bell \x07", "bad")], ["train:21"]),
    ],
)
def test_each_kind_is_found_with_its_place(kind, rows, places):
    report = check_labelled(Rows("train", [*GOOD, *rows]))
    assert found(report) == {("train", kind): (len(places), places)}
    assert "train:21" in render(report)


def test_held_back_rows_are_looked_up_in_train():
    test = Rows("test", [("text 3", "bad"), ("text 3", "bad"), ("new", "god")])
    report = check_labelled(Rows("train", GOOD), Rows("val", [("text 4", "bad")]), test)
    assert found(report) == {
        ("validation", "known"): (1, ["val:1"]),
        ("test", "known"): (1, ["test:1"]),
        ("test", "unknown label"): (1, ["test:3"]),
        ("test", "duplicate"): (1, ["test:2"]),
    }
    text = render(report)
    assert "also at train:4: text 3" in text and "god: 1" in text
    assert text.index("also stand in train") < text.index("came before in the same part")  # the gravest first


def test_pairs_and_several_labels():
    columns = ("text_a", "text_b", "label")
    rows = [(f"a {number}", "b", ["x", "y"] if number % 2 else []) for number in range(20)]
    report = check_labelled(Rows("train", [*rows, ("b", "", [])], columns), inputs=("text_a", "text_b"))
    assert found(report) == {("train", "empty"): (1, ["train:21"])}
    assert report.notes == ["Labels of train: x 10, y 10."]


def test_of_tags_the_entities_are_counted():
    rows = [([f"Ada{number}", "B.", "wrote"], ["I-person", "I-person", "O"]) for number in range(10)]
    table = Rows("train", [*rows, (["no", "one"], ["O", "O"])], ("words", "tags"))
    report = check_labelled(table, inputs=("words",), answer="tags")
    assert (report.findings, report.notes) == ([], ["Labels of train: person 10."])


@needs_data("text/trec")
def test_trec_has_what_is_known_of_it():
    columns = {"text": "text", "label": "label"}
    report = check_labelled(registry.load("trec", "train_all", columns), test=registry.load("trec", "test", columns))
    assert report.rows == {"train": 5_452, "test": 500}
    assert report.notes[0].startswith("Labels of train: ENTY 1,250, HUM 1,223, DESC 1,162")
    assert found(report)["test", "known"][0] == 10  # an eleventh differs in capitals
    assert ("train", "two labels") not in found(report)
