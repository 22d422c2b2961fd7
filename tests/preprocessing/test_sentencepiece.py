"""SentencePiece without TensorFlow: what is learned, what comes back, and what the user is told."""

import json

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import run_python
from tests.preprocessing.corpora import SENTENCES, learning_lines
from zoo.errors import UserError
from zoo.preprocessing.sentencepiece import SentencePiece, SentencePieceChoices, _draw

KINDS = pytest.mark.parametrize("kind", ["bpe", "unigram"])


def fitted(kind: str = "bpe", vocabulary: int = 320, **choices: object) -> SentencePiece:
    return SentencePiece.fit(SENTENCES, SentencePieceChoices(kind=kind, vocabulary=vocabulary, **choices))


@pytest.fixture(scope="module")
def learned() -> dict[str, SentencePiece]:
    return {kind: fitted(kind) for kind in ("bpe", "unigram")}


@KINDS
def test_special_ids_and_size(learned, kind):
    text = learned[kind]
    assert text.size == 320
    assert text.pieces([text.pad_id, text.unknown_id, text.start_id, text.end_id]) == ["<pad>", "<unk>", "<s>", "</s>"]
    ids = text.encode("the old woman")
    assert ids.dtype == np.int32 and ids.ndim == 1 and ids.min() > text.end_id  # no start, no end, nothing unknown
    assert text.encode("").shape == (0,)


@KINDS
@given(line=st.text(st.characters(exclude_categories=("C", "Z", "M")), max_size=40))
def test_nothing_is_lost(learned, kind, line):
    """What the rule leaves of a text comes back, letters never seen (emoji, other scripts) by their bytes."""
    text = learned[kind]
    plain = text._processor.normalize(line).replace("▁", " ").strip()
    assert text.decode(text.encode(line)) == plain


@pytest.mark.parametrize(
    ("line", "comes_back"),
    [
        ("the dog 😀👩🏽‍🚒", "the dog 😀👩🏽‍🚒"),
        ("ｆｕｌｌ\u3000ｗｉｄｔｈ", "full width"),
        ("  odd\u00a0 \tblanks\u200b \n", "odd blanks"),
        ("control\x01\x7f characters\x00", "control characters"),
        (b"in\xffvalid \xf0\x9f\x98 bytes", "in valid bytes"),
        ("a lone \ud83d surrogate", "a lone surrogate"),
    ],
)
def test_odd_text(learned, line, comes_back):
    assert learned["bpe"].decode(learned["bpe"].encode(line)) == comes_back


def test_lowercase_keeps_sharp_s():
    text = fitted(lowercase=True)
    assert text.decode(text.encode("ÜBER die Straße")) == "über die straße"


def test_without_bytes_a_new_character_is_unknown():
    text = fitted(vocabulary=64, byte_fallback=False)
    ids = text.encode("the 😀 dog")
    assert (ids == text.unknown_id).sum() == 1
    assert text.decode(ids) == "the  ⁇  dog"


def test_impossible_ids_read_as_unknown(learned):
    text = learned["bpe"]
    assert text.decode([-1]) == text.decode([10**6]) == text.decode([text.unknown_id])
    assert text.pieces([-1, 10**6]) == ["<unk>", "<unk>"]
    assert text.decode([text.start_id, *text.encode("the dog"), text.end_id, text.pad_id]) == "the dog"


def test_batches_equal_single_texts(learned):
    text = learned["unigram"]
    batch = text.encode_batch(SENTENCES[:3] + [""])
    assert [ids.tolist() for ids in batch] == [text.encode(line).tolist() for line in SENTENCES[:3] + [""]]
    assert text.decode_batch(batch) == SENTENCES[:3] + [""]


def test_encode_within_ends_and_says_what_it_cut(learned):
    text = learned["bpe"]
    whole = text.encode(SENTENCES[0])
    ids, truncated = text.encode_within(SENTENCES[0], len(whole) + 1)
    assert ids.tolist() == [*whole, text.end_id] and not truncated
    ids, truncated = text.encode_within(SENTENCES[0], len(whole))
    assert ids.tolist() == [*whole[:-1], text.end_id] and truncated
    ids, truncated = text.encode_within(" " * 1000 + "the", 8)  # past the 16 * 8 characters that are looked at
    assert ids.tolist() == [text.end_id] and truncated


@KINDS
def test_the_same_lines_give_the_same_vocabulary(kind):
    lines = learning_lines(1000)
    choices = SentencePieceChoices(kind=kind, vocabulary=4000, character_coverage=0.98)
    first = SentencePiece.fit(iter(lines), choices)
    assert SentencePiece.fit([(line, "") for line in lines], choices).model == first.model  # columns make no difference
    assert SentencePiece.fit(lines[:-1], choices).fingerprint != first.fingerprint


def test_of_a_large_corpus_an_even_sample_is_learned(monkeypatch):
    monkeypatch.setattr("zoo.preprocessing.sentencepiece.LEARNED_LINES", 500)
    drawn = [int(text) for text in _draw(map(str, range(20_000)), lowercase=False, progress=None)]
    assert len(set(drawn)) == 500
    assert np.histogram(drawn, bins=4, range=(0, 20_000))[0].min() > 90  # from everywhere
    code = """
        from tests.preprocessing import test_sentencepiece as test
        import zoo.preprocessing.sentencepiece as module
        module.LEARNED_LINES = 150
        print(test.fitted(vocabulary=300).fingerprint)
        """
    monkeypatch.setattr("zoo.preprocessing.sentencepiece.LEARNED_LINES", 150)
    assert run_python(code).strip() == fitted(vocabulary=300).fingerprint  # in another process too


def test_save_and_load(tmp_path, learned):
    text = fitted(lowercase=True, sampling=0.1)
    text.save(tmp_path / "preprocessor")
    again = SentencePiece.load(tmp_path / "preprocessor")
    assert (again.model, again.choices, again.fingerprint) == (text.model, text.choices, text.fingerprint)
    # The model file is SentencePiece's own format.
    assert sentencepiece.SentencePieceProcessor(str(tmp_path / "preprocessor/model.spm")).vocab_size() == text.size
    assert text.fingerprint != learned["bpe"].fingerprint


def test_loading_says_what_is_missing_or_too_new(tmp_path):
    with pytest.raises(UserError, match=r"model\.spm is missing"):
        SentencePiece.load(tmp_path)
    fitted().save(tmp_path)
    file = tmp_path / "sentencepiece.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(UserError, match="format 99"):
        SentencePiece.load(tmp_path)


@KINDS
@pytest.mark.parametrize(("vocabulary", "bound"), [(50_000, "largest"), (270, "smallest")])
def test_a_vocabulary_that_does_not_fit_says_what_does(kind, vocabulary, bound):
    with pytest.raises(UserError, match=f"the {bound} vocabulary that works is") as caught:
        fitted(kind, vocabulary)
    works = int(caught.value.problem.split()[-1])
    assert fitted(kind, works).size == works
    beyond = works + (1 if bound == "largest" else -1)
    with pytest.raises(UserError, match=f"that works is {works}"):
        fitted(kind, beyond)


def test_no_text_is_an_error():
    with pytest.raises(UserError, match="no text"):
        SentencePiece.fit(["", ""], SentencePieceChoices())


def test_an_error_of_the_reader_comes_through():
    def lines():
        yield "one line"
        raise UserError("not UTF-8", where="my.en:2")

    with pytest.raises(UserError, match="my.en:2: not UTF-8"):
        SentencePiece.fit(lines(), SentencePieceChoices())


def test_a_model_with_other_special_ids_is_refused(tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_prefix=str(tmp_path / "m"), vocab_size=60, minloglevel=2
    )
    with pytest.raises(UserError, match=r"\(-1, 0, 1, 2\)"):
        SentencePiece((tmp_path / "m.model").read_bytes(), SentencePieceChoices())
