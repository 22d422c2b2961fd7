"""The sets of text: how many rows each split has, by the data's own description, and what a row looks like."""

from collections import Counter

import pytest

from tests.conftest import needs_data
from zoo.data import registry
from zoo.errors import UserError

ROWS = {
    "sst2": {"train": 67_349 - 3367, "select": 3367, "train_all": 67_349, "dev": 872},
    "agnews": {"train": 13_506 - 675, "select": 675, "train_all": 13_506, "test": None},  # CSV is not counted before
    "trec": {"train": 5_452 - 273, "select": 273, "train_all": 5_452, "test": 500},
    "clinc150": {"train": 15_100, "val": 3_100, "test": 5_500},
    "mrpc": {"train": 4_076 - 204, "select": 204, "train_all": 4_076, "test": 1_725},
    "sick": {"train": 4_500, "trial": 500, "test": 4_927},
    "stsb": {"train": 5_749 - 287, "select": 287, "train_all": 5_749, "dev": 1_500},
    "wnut17": {"train": 3_394 - 200, "select": 200, "train_all": 3_394, "dev": 1_009},
    "squad": {"train": 7_228 - 361, "select": 361, "train_all": 7_228, "dev": 1_863, "dev_v2": 3_898},
    "wiki": {"train": 43_900, "valid": 1_053, "test": 1_067},
}
LABELS = {
    ("sst2", "train_all"): {"positive": 37_569, "negative": 29_780},
    ("sst2", "dev"): {"positive": 444, "negative": 428},
    ("agnews", "test"): dict.fromkeys(("World", "Sports", "Business", "Sci/Tech"), 1_900),
    ("trec", "train_all"): {"ENTY": 1_250, "HUM": 1_223, "DESC": 1_162, "NUM": 896, "LOC": 835, "ABBR": 86},
    ("mrpc", "train_all"): {"paraphrase": 2_753, "different": 1_323},
    ("mrpc", "test"): {"paraphrase": 1_147, "different": 578},
    ("sick", "train"): {"NEUTRAL": 2_536, "ENTAILMENT": 1_299, "CONTRADICTION": 665},
}


def load(name, split, *columns):
    return registry.load(name, split, {column: column for column in columns or registry.columns(name)})


@needs_data("text")
@pytest.mark.parametrize("name", ROWS)
def test_every_split_has_its_rows(name):
    assert registry.splits(name) == list(ROWS[name])
    for split, rows in ROWS[name].items():
        assert load(name, split).rows == rows
    smallest = min(ROWS[name], key=lambda split: ROWS[name][split] or 7_600)
    examples = list(load(name, smallest))
    assert len(examples) == (ROWS[name][smallest] or 7_600)
    assert set(examples[0].values) == set(registry.columns(name))


@needs_data("text")
@pytest.mark.parametrize(("name", "split"), LABELS)
def test_labels_are_names_and_as_many_as_published(name, split):
    assert Counter(example.values["label"] for example in load(name, split, "label")) == LABELS[name, split]


@needs_data("text/clinc150")
def test_clinc150_has_150_intents_and_what_is_out_of_scope():
    counts = Counter(example.values["label"] for example in load("clinc150", "test", "label"))
    assert counts.pop("oos") == 1_000
    assert len(counts) == 150 and set(counts.values()) == {30}


@needs_data("text/trec")
def test_train_and_select_are_the_beginning_and_the_end_of_train_all():
    train, select, whole = (list(load("trec", split)) for split in ("train", "select", "train_all"))
    assert train + select == whole
    assert whole[0].values == {
        "text": "How did serfdom develop in and then leave Russia ?",
        "label": "DESC",
        "fine": "DESC:manner",
    }
    assert select[0].place.endswith("train.tsv.gz:5181")


@needs_data("text/agnews")
def test_agnews_joins_title_and_description():
    row = next(iter(load("agnews", "test"))).values
    assert row["text"].startswith("Fears for T N pension after talks Unions representing workers")
    assert row["label"] == "Business"


@needs_data("text/stsb")
def test_pairs_keep_quotation_marks_and_scores():
    rows = list(load("stsb", "dev", "text_a", "text_b", "score"))
    assert rows[1].values == {
        "text_a": "A young child is riding a horse.",
        "text_b": "A child is riding a horse.",
        "score": "4.750",
    }
    assert all(0 <= float(row.values["score"]) <= 5 for row in rows)


@needs_data("text/wnut17")
def test_wnut17_has_its_entities():
    tags = Counter(tag for example in load("wnut17", "train_all") for tag in example.values["tags"])
    begun = {tag[2:]: count for tag, count in tags.items() if tag.startswith("B-")}
    assert begun == {
        "person": 660,
        "location": 548,
        "group": 264,
        "corporation": 221,
        "product": 142,
        "creative-work": 140,
    }
    assert tags.total() == 62_730


@needs_data("text/squad")
def test_squad_has_its_answers():
    answered = [example.values["answers"] for example in load("squad", "dev_v2", "answers")]
    assert sum(not answers for answers in answered) == 2_035
    assert sum(len(answers) for answers in answered) == 6_360


@needs_data("text/wiki")
def test_wiki_has_an_empty_text_between_articles():
    texts = [example.values["text"] for example in load("wiki", "valid")]
    assert "" not in (texts[0], texts[-1])
    assert texts.count("") + 1 == 50


def test_a_cut_set_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError) as caught:
        load("mrpc", "test")
    message = str(caught.value)
    for part in ("no public home", str(tmp_path / "data/text/mrpc/msr_paraphrase_test.txt"), "non-commercial"):
        assert part in message
    assert not (tmp_path / "cache").exists()


@needs_data("text/sick")
def test_a_changed_file_of_a_cut_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    (tmp_path / "text/sick").mkdir(parents=True)
    (tmp_path / "text/sick/SICK_trial.txt").write_text("pair_ID\n1\n")
    with pytest.raises(UserError, match=r"SICK_trial\.txt: this is not the file it should be(?s:.*)Put the right one"):
        load("sick", "trial")
