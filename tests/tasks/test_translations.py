"""What teachers write beside the pairs of a translator: which rows come, kept and found again, and who may teach."""

from types import SimpleNamespace

import pytest
from sacrebleu import sentence_chrf

from zoo import recipe as recipes
from zoo.data.tables import Example, Table
from zoo.decoding.choices import SearchChoices
from zoo.errors import UserError
from zoo.preprocessing.sentencepiece import SentencePiece, SentencePieceChoices
from zoo.run import Run, Start
from zoo.tasks.translate import Translate
from zoo.tasks.translations import Translations
from zoo.train import train
from zoo.training.checkpoints import capture

PAIRS = [("a dog runs", "ein Hund läuft"), ("two women sleep", "zwei Frauen schlafen"), ("a dog runs", "er läuft")]
LANGUAGES = SimpleNamespace(source_language="en", target_language="de")


class Pairs(Table):
    columns, files = ("source", "target"), ()

    def __iter__(self):
        return iter([Example(dict(zip(self.columns, pair, strict=True)), f"a:{n}") for n, pair in enumerate(PAIRS, 1)])


def teacher(seed, source="en", target="de"):
    tables = {
        "model": {"preset": "debug", "encoder_layers": 1, "decoder_layers": 1},
        "decoding": {"beam": 3, "length_extra": 2, "length_factor": 0.0},
        "export": {"source_language": source, "target_language": target},
    }
    task = Translate(recipes.made("translate", "teacher", "", tables, Translate.schema()))
    pieces = SentencePiece.fit([text for pair in PAIRS for text in pair] * 9, SentencePieceChoices(vocabulary=300))
    task.preprocessors = {"source": pieces, "target": pieces}
    model = task.build_model(seed)
    arrays = capture(model, SimpleNamespace(variables=[]), SimpleNamespace(averages=None, sync=lambda: None))
    beam = SearchChoices(beam=3, n_best=3, length_factor=0.0, length_extra=2)
    return Start(task.recipe, task.preprocessors, arrays), lambda texts: [
        [" ".join(answer.split()) for answer in answers] for answers, _ in task.predict_n_best(model, texts, beam)
    ]


@pytest.fixture
def told(monkeypatch):
    """What any teacher writes: fixed texts instead of a random model's."""
    answers = {
        "a dog runs": ["ein Hund läuft"],
        "two women sleep": ["die Leute", "Frauen\nschlafen", "sie schlafen"],  # the second is the nearest
        "ein Hund läuft": [""],
        "zwei Frauen schlafen": ["women sleep", "women sleep in"],
        "er läuft": ["he runs", "it walks"],  # neither is near: the teacher's first
    }
    asked = []

    def write(_, model, raws, choices, rows):
        asked.extend(raws)
        return [(answers[raw], []) for raw in raws]

    monkeypatch.setattr(Translate, "predict_n_best", write)
    return asked


def test_both_directions_stand_behind_their_pairs(told, tmp_path):
    teachers = [teacher(1)[0], teacher(2)[0], teacher(3, "de", "en")[0]]
    table = Translations(Pairs(), teachers, LANGUAGES, tmp_path)
    assert [(*each.values.values(), each.place) for each in table] == [
        (*PAIRS[0], "a:1"),  # both teachers write its target; the one that translates back writes nothing
        (*PAIRS[1], "a:2"),
        ("two women sleep", "Frauen schlafen", "a:2"),  # once, though two write it
        ("women sleep", "zwei Frauen schlafen", "a:2"),
        (*PAIRS[2], "a:3"),
        ("a dog runs", "ein Hund läuft", "a:3"),
        ("he runs", "er läuft", "a:3"),
    ]
    assert told == [source for source, _ in PAIRS] * 2 + [target for _, target in PAIRS]
    again = Translations(Pairs(), teachers, LANGUAGES, tmp_path)
    assert len(told) == 9 and again.fingerprint == table.fingerprint  # found again, not asked again
    other = Translations(Pairs(), [teacher(4)[0], *teachers[1:]], LANGUAGES, tmp_path)
    assert len(told) == 12 and other.fingerprint != table.fingerprint


def test_a_teacher_writes_what_its_model_answers(tmp_path):
    start, answers = teacher(1)
    rows = [each.values["target"] for each in Translations(Pairs(), [start], LANGUAGES, tmp_path)]
    assert rows[::2] == [target for _, target in PAIRS]
    for row, found, (_, target) in zip(rows[1::2], answers([source for source, _ in PAIRS]), PAIRS, strict=True):
        assert len(set(found)) == 3 and row == max(found, key=lambda each: sentence_chrf(each, [target]).score)


@pytest.mark.parametrize(
    ("languages", "problem"), [(("en", "fr"), "translates en to fr, and its student en to de"), (("", ""), r"\? to \?")]
)
def test_other_languages_are_refused(languages, problem, tmp_path):
    with pytest.raises(UserError, match=problem):
        Translations(Pairs(), [teacher(1, *languages)[0]], LANGUAGES, tmp_path)


def test_a_recipe_that_is_named_is_trained_first(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(recipes, "FOLDER", tmp_path / "recipes")
    (tmp_path / "recipes" / "translate").mkdir(parents=True)
    for side, texts in zip(("en", "de"), zip(*PAIRS, strict=True), strict=True):
        (tmp_path / f"a.{side}").write_text("\n".join(texts * 20) + "\n")
    files = {"source": str(tmp_path / "a.en"), "target": str(tmp_path / "a.de")}
    tables = {
        "data": {"train": files, "validation": files},
        "preprocessing": {"vocabulary": 300},
        "model": {"preset": "debug", "encoder_layers": 1, "decoder_layers": 1},
        "training": {"steps": 2, "evaluate_every": 2, "warmup": 1, "budget": 512, "samples": 0},
        "decoding": {"beam": 1},
        "export": {"source_language": "en", "target_language": "de"},
    }
    small = recipes.made("translate", "small", "", tables, Translate.schema())
    recipes.write(small, recipes.FOLDER / "translate" / "small.toml")
    tables["training"] |= {"teachers": ["small"]}
    folder, student = tmp_path / "run", recipes.made("translate", "student", "", tables, Translate.schema())
    train(Run(folder, student))
    assert Run.open(folder / "teachers" / "small").checkpoints.latest()[1]["step"] == 2
    (written,) = (folder / "teachers").glob("*.txt")
    assert written.read_text().count("\n") == 60
    recipes.write(student, recipes.FOLDER / "translate" / "small.toml")  # now it names itself
    with pytest.raises(UserError, match="its own teacher"):
        train(Run(tmp_path / "small", student))
    tables["training"] |= {"teachers": [str(tmp_path / "gone")]}
    with pytest.raises(UserError, match="no version of a model"):
        train(Run(tmp_path / "other", recipes.made("translate", "student", "", tables, Translate.schema())))
    assert not (tmp_path / "other").exists()
