import pytest

from zoo.errors import UserError
from zoo.preprocessing.labels import Labels


def test_names_are_sorted_listed_or_as_elsewhere():
    counted = {"b": 2, "a": 1, "c": 4}
    assert Labels.fit(counted).names == ("a", "b", "c")
    assert Labels.fit(counted).counts == (1, 2, 4)
    assert Labels.fit(counted, listed=("c", "a", "b")).names == ("c", "a", "b")
    assert Labels.fit(counted, listed=("c", "a", "b")).counts == (4, 1, 2)
    assert Labels.fit(counted, order=("b", "c", "a")).names == ("b", "c", "a")
    assert Labels.fit(counted, order=("b", "c")).names == ("a", "b", "c")
    assert Labels.fit(counted, listed=("c", "a", "b"), order=("b", "c", "a")).names == ("c", "a", "b")


def test_an_unknown_name_is_told_with_its_neighbour():
    labels = Labels(["positive", "negative"])
    assert [labels.index(name) for name in labels.names] == [0, 1]
    with pytest.raises(UserError, match='"postive". Did you mean "positive"') as caught:
        labels.index("postive")
    assert "positive, negative" in str(caught.value)


def test_an_empty_class_is_refused_by_name():
    with pytest.raises(UserError, match='no example of the label "c"') as caught:
        Labels.fit({"a": 1, "b": 0}, listed=("a", "c"))
    assert caught.value.where == "[data] labels"
    with pytest.raises(UserError, match='no example of the label "b"'):
        Labels.fit({"a": 1, "b": 0}, listed=("a", "b"))
    with pytest.raises(UserError, match='no example of the label "b"'):
        Labels.fit({"a": 1.5, "b": 0.0})
    with pytest.raises(UserError, match="has no labels"):
        Labels.fit({})


@pytest.mark.parametrize("names", [[], ["a", "b", "a"]])
def test_names_are_there_and_distinct(names):
    with pytest.raises(UserError):
        Labels(names)


def test_saved_and_loaded(tmp_path):
    labels = Labels(["ja\nnein", "ü"], [3, 4])
    labels.save(tmp_path / "labels")
    loaded = Labels.load(tmp_path / "labels")
    assert (loaded.names, loaded.counts) == (labels.names, labels.counts)
    assert loaded.fingerprint == labels.fingerprint != Labels(["ü", "ja\nnein"]).fingerprint
    (tmp_path / "labels" / "labels.json").write_text('{"format": 2, "names": ["a"], "counts": []}')
    with pytest.raises(UserError, match="newer"):
        Labels.load(tmp_path / "labels")
    (tmp_path / "labels" / "labels.json").write_text("[]")
    with pytest.raises(UserError, match="labels.json"):
        Labels.load(tmp_path / "labels")
