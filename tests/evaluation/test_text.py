"""Scores of text against values worked out by hand, and against Multi30k's own tokenized files."""

import gzip
import json
import math

import pytest
import sacrebleu

from tests.conftest import data, needs_data
from zoo.errors import UserError
from zoo.evaluation.text import bleu, chrf, exact_match, moses_tokens, token_accuracy, tokenized_bleu

REFERENCES = ["Ein Mann steht auf der Straße .", "Zwei Hunde laufen über die grüne Wiese .", "Sie liest ein Buch ."]
ALL = [bleu, chrf, exact_match, token_accuracy]


def lines(path: str) -> list[str]:
    return gzip.decompress(data(path).read_bytes()).decode("utf-8").split("\n")[:-1]


@needs_data("text/multi30k")
@pytest.mark.parametrize("split", ["val", "test_2016_flickr", "test_2017_flickr"])
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_multi30k_references_treated_are_its_tokenized_files(language, split):
    raw = lines(f"text/multi30k/raw/{split}.{language}.gz")
    assert moses_tokens(raw, language) == lines(f"text/multi30k/tok/{split}.lc.norm.tok.{language}.gz")


@needs_data("text/multi30k")
def test_tokenized_bleu_of_the_references_is_100():
    raw = lines("text/multi30k/raw/test_2016_flickr.de.gz")
    tokenized = lines("text/multi30k/tok/test_2016_flickr.lc.norm.tok.de.gz")
    score = tokenized_bleu(raw, tokenized, "de")
    assert score.value == pytest.approx(100.0, abs=1e-9) and score.interval == pytest.approx((100.0, 100.0))
    assert "tok:none" in score.signature and "moses:lc.norm.tok.de" in score.signature
    assert tokenized_bleu([line.upper().replace("SS", "ß") for line in raw], tokenized, "de").value > 90  # no case


@pytest.mark.parametrize("score", ALL)
def test_right_answers_are_100(score):
    found = score(REFERENCES, REFERENCES)
    assert found.value == pytest.approx(100.0) and found.interval == pytest.approx((100.0, 100.0))


@pytest.mark.parametrize("score", ALL)
def test_empty_answers_are_0(score):
    found = score(["", "", ""], REFERENCES)
    assert found.value == 0.0 and found.interval == (0.0, 0.0)


def test_bleu_by_hand():
    # 6 of 7 words, 4 of 6 pairs, 2 of 5 triples, 1 of 4 quadruples; lengths equal.
    found = bleu(["a b c d X e f"], ["a b c d Y e f"])
    assert found.value == pytest.approx(100 * math.exp(sum(map(math.log, (6 / 7, 4 / 6, 2 / 5, 1 / 4))) / 4))
    assert "case:mixed" in found.signature and "tok:13a" in found.signature
    assert bleu(["A B C D X E F"], ["a b c d Y e f"]).value < 1  # cased


def test_brevity_penalty_and_chrf_agree_with_sacrebleu():
    short = [reference.rsplit(" ", 2)[0] for reference in REFERENCES]
    assert bleu(short, REFERENCES).value == pytest.approx(sacrebleu.corpus_bleu(short, [REFERENCES]).score)
    assert chrf(short, REFERENCES).value == pytest.approx(sacrebleu.corpus_chrf(short, [REFERENCES]).score)


def test_exact_match_and_token_accuracy_by_hand():
    answers = ["Ein Mann steht auf der Straße .", "Zwei Hunde laufen über grüne die Wiese .", "Sie liest ein Buch . ."]
    assert exact_match(answers, REFERENCES).value == pytest.approx(100 / 3)
    assert token_accuracy(answers, REFERENCES).value == pytest.approx(100 * (7 + 6 + 5) / (7 + 8 + 6))


def test_interval_is_that_of_the_binomial():
    answers = ["right"] * 300 + ["wrong"] * 100
    found = exact_match(answers, ["right"] * 400)
    half = 1.96 * 100 * math.sqrt(0.75 * 0.25 / 400)
    assert found.interval == pytest.approx((75 - half, 75 + half), abs=0.5)
    assert exact_match(answers, ["right"] * 400) == found  # the same draws each time


@pytest.mark.parametrize("score", ALL)
def test_the_value_lies_in_its_interval_and_is_json(score):
    answers = [reference.replace("die", "eine").replace("Sie liest", "Er liest") for reference in REFERENCES] * 30
    found = score(answers, REFERENCES * 30)
    low, high = found.interval
    assert 0 < low < found.value < high < 100
    assert json.loads(json.dumps(found.to_json()))["interval"] == [low, high]
    assert str(found) == f"{found.name} {found.value:.2f} [{low:.2f}, {high:.2f}]"


@pytest.mark.parametrize("score", ALL)
def test_counts_that_do_not_fit(score):
    with pytest.raises(UserError, match="2 answers, and 3 references"):
        score(REFERENCES[:2], REFERENCES)
    with pytest.raises(UserError, match="no answers"):
        score([], [])


def test_tokenized_bleu_checks_too():
    with pytest.raises(UserError, match="1 answers, and 0 references"):
        tokenized_bleu(["a"], [], "de")
