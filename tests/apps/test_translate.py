"""What the user of `zoo translate` is told about input that cannot be used, before any long work."""

import pytest

from apps.translate import main


@pytest.fixture
def pairs(tmp_path):
    """Writes files of the given texts or bytes; gives their paths."""

    def write(**texts):
        paths = []
        for name, text in texts.items():
            path = tmp_path / f"my.{name}"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            paths.append(str(path))
        return paths

    return write


def told(capsys, *arguments):
    """The error of a command that fails as it should."""
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.err


def train(capsys, source, target, tmp_path, *more):
    error = told(capsys, "train", "--source", source, "--target", target, "--run", tmp_path / "run", *more)
    assert not (tmp_path / "run").exists(), "nothing may be left behind"
    return error


def test_different_line_counts(capsys, tmp_path, pairs):
    en, de = pairs(en="a\nb\nc\n", de="a\nb\n")
    error = train(capsys, en, de, tmp_path)
    assert f"{en} has 3 lines" in error and f"{de} has 2 lines" in error


def test_a_missing_and_an_empty_file(capsys, tmp_path, pairs):
    en, de = pairs(en="a\n", de="")
    assert f"{tmp_path}/none" in train(capsys, en, tmp_path / "none", tmp_path)
    assert de in train(capsys, en, de, tmp_path)


def test_invalid_utf8_names_the_line(capsys, tmp_path, pairs):
    en, de = pairs(en="a\nb\n", de=b"a\n\xff\xfe\n")
    assert f"{de}:2" in train(capsys, en, de, tmp_path)


def test_only_blank_pairs(capsys, tmp_path, pairs):
    en, de = pairs(en="a\n\n", de="\nb\n")
    assert "no pair has text on both sides" in train(capsys, en, de, tmp_path)


def test_unknown_recipe_and_field(capsys, tmp_path):
    error = told(capsys, "train", "--recipe", "multi30k-en-dee")
    assert 'Did you mean "multi30k-en-de"?' in error
    error = told(capsys, "train", "--recipe", "debug", "--set", "training.stpes=3", "--run", tmp_path / "run")
    assert 'Did you mean "steps"?' in error and not (tmp_path / "run").exists()


def test_one_side_alone(capsys, pairs):
    (en,) = pairs(en="a\n")
    assert "--target is missing" in told(capsys, "train", "--source", en)


def test_what_is_no_run_and_no_home(capsys, tmp_path):
    assert str(tmp_path) in told(capsys, "export", tmp_path, tmp_path / "home")


def test_check_says_what_it_found(capsys, pairs):
    en, de = pairs(en="a dog\na dog\n\nthe cat\n", de="ein Hund\nein Hund\nx\nthe cat\n")
    assert main(["check", "--source", en, "--target", de]) == 0
    said = capsys.readouterr().out
    assert "rows with an empty side: 1" in said and f"{en}:2  a dog ||| ein Hund" in said
