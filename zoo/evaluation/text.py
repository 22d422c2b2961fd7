"""Scores of text: BLEU and chrF by sacrebleu, the lowercased tokenized BLEU of the Multi30k papers, exact matches."""

import json
from collections.abc import Iterable, Sequence

from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.base import Metric
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from zoo.evaluation.score import SAMPLES, Score, check_rows, ratio


def bleu(answers: Sequence[str], references: Sequence[str]) -> Score:
    """BLEU of plain text, cased and detokenized (Papineni et al., 2002; Post, 2018, arXiv:1804.08771).

    Args:
        answers: one text a row.
        references: the right text of each row.

    Raises:
        UserError: no rows, or not as many answers as references; so do the other scores.
    """
    return _corpus_score("BLEU", BLEU(), answers, references)


def chrf(answers: Sequence[str], references: Sequence[str]) -> Score:
    """chrF2: F-score of character n-grams up to 6, recall counting twice (Popović, 2015)."""
    return _corpus_score("chrF2", CHRF(), answers, references)


def tokenized_bleu(answers: Sequence[str], tokenized_references: Sequence[str], language: str) -> Score:
    """BLEU as papers on Multi30k report it: of lowercased Moses tokens, against the set's own tokenized files.

    Args:
        answers: plain text, as a model gives it.
        tokenized_references: lines of the data set's `tok/*.lc.norm.tok.*` files.
        language: "en", "de", "fr" and so on: Moses has rules for each.
    """
    treated = moses_tokens(answers, language)
    score = _corpus_score("tokenized BLEU", BLEU(tokenize="none", force=True), treated, tokenized_references)
    return Score(score.name, score.value, score.interval, f"{score.signature}|moses:lc.norm.tok.{language}")


def moses_tokens(texts: Iterable[str], language: str) -> list[str]:
    """Lowercases, normalizes punctuation and tokenizes (with escapes), in this order, as Multi30k's makers did.

    Treated so, the raw files of Multi30k become its tokenized ones, line by line.
    """
    normalizer = MosesPunctNormalizer(lang=language, perl_parity=True)
    tokenizer = MosesTokenizer(lang=language)
    # The Perl script saw each line with its end; its rule for a period before a closing quote needs something there.
    normal = (normalizer.normalize(text.lower() + "\n") for text in texts)
    return [tokenizer.tokenize(text, return_str=True, escape=True) for text in normal]


def exact_match(answers: Sequence[str], references: Sequence[str]) -> Score:
    """The share of answers that are their reference, letter by letter."""
    check_rows(answers, references)
    hits = [answer == reference for answer, reference in zip(answers, references, strict=True)]
    return ratio("exact match", hits, [1] * len(hits), "of:rows")


def token_accuracy(answers: Sequence[str], references: Sequence[str]) -> Score:
    """The share of words (divided by blanks) that stand in the right place; a word too many or too few is wrong."""
    check_rows(answers, references)
    pairs = [(answer.split(), reference.split()) for answer, reference in zip(answers, references, strict=True)]
    hits = [sum(a == r for a, r in zip(*pair, strict=False)) for pair in pairs]
    return ratio("token accuracy", hits, [max(map(len, pair)) for pair in pairs], "of:words")


def _corpus_score(name: str, metric: Metric, answers: Sequence[str], references: Sequence[str]) -> Score:
    check_rows(answers, references)
    score = metric.corpus_score(list(answers), [list(references)], n_bootstrap=SAMPLES)
    signature = metric.get_signature().format()
    # The interval is public only in sacrebleu's JSON: "confidence_var" is half its width, both are left out at 0.
    found = json.loads(score.format(width=6, signature=signature, is_json=True))
    middle, half = found.get("confidence_mean", 0.0), found.get("confidence_var", 0.0)
    return Score(name, score.score, (max(middle - half, 0.0), min(middle + half, 100.0)), signature)
