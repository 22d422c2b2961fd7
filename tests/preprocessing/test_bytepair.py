"""Byte pairs without TensorFlow: what is learned, what comes back, what the user is told."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from tests.conftest import run_python
from tests.preprocessing.corpora import SENTENCES, generated_lines
from tests.preprocessing.subword_lines import HARD
from zoo.errors import UserError
from zoo.preprocessing.bytepair import BytePair, byte_letters
from zoo.preprocessing.subwords import SubwordChoices, fit_subwords, load_subwords

CHOICES = SubwordChoices(kind="bytepair", vocabulary=500, lowercase=False)


def fitted(lines=SENTENCES, **choices: object) -> BytePair:
    return BytePair.fit(lines, SubwordChoices(**{"kind": "bytepair", "vocabulary": 500, "lowercase": False, **choices}))


@pytest.fixture(scope="module")
def learned() -> BytePair:
    return fitted()


def test_special_ids_and_size(learned):
    special = [learned.pad_id, learned.unknown_id, learned.start_id, learned.end_id, learned.mask_id]
    assert special == [0, 1, 2, 3, 4] and learned.pieces(special) == ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    assert 300 < learned.size <= 500 and learned.kind == "bytepair"
    assert learned.encode("").shape == (0,)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_nothing_is_lost(learned, text):
    if not any(piece in text for piece in ("<pad>", "<unk>", "<s>", "</s>", "<mask>")):  # which decode leaves out
        assert learned.decode(learned.encode(text)) == text


def test_pieces_and_offsets(learned):
    ids, offsets = learned.encode_with_offsets("the old  dog")
    assert learned.pieces(ids) == ["the", "Ġold", "Ġ", "Ġdog"] and ids.dtype == offsets.dtype == np.int32
    assert offsets.tolist() == [[0, 3], [4, 7], [8, 8], [9, 12]]  # blanks are no part of what a piece says
    ids, offsets = learned.encode_with_offsets("😀 a  <mask>!")
    assert learned.pieces(ids)[-2:] == ["<mask>", "!"]
    assert offsets.tolist() == [[0, 1]] * 4 + [[2, 3], [5, 11], [11, 12]]


def test_words_stand_behind_blanks(learned):
    ids, word_of = learned.encode_words(["the", "old", "dog", ""])
    assert ids.tolist()[: len(learned.encode("the old dog"))] == learned.encode("the old dog").tolist()
    assert word_of.tolist() == [0, 1, 2, 3]  # a blank is a piece


def test_packing(learned):
    a, b = np.array([5, 6, 7], np.int32), np.array([10, 11], np.int32)
    assert learned.pack(a).ids.tolist() == [2, 5, 6, 7, 3]
    packed = learned.pack(a, b, most=9)
    assert packed.ids.tolist() == [2, 5, 6, 7, 3, 3, 10, 11, 3] and not packed.segments.any() and not packed.cut
    packed = learned.pack(a, b, most=8)
    assert packed.ids.tolist() == [2, 5, 6, 3, 3, 10, 11, 3] and packed.cut and packed.segments.shape == (8,)


def test_it_is_robertas_tokenizer(learned):
    """Ids, offsets and pairs of a tokenizer put together as RoBERTa's file says."""
    vocabulary = {piece: index for index, piece in enumerate(learned.pieces(range(learned.size)))}
    theirs = Tokenizer(models.BPE(vocabulary, learned._merges))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    theirs.post_processor = processors.RobertaProcessing(("</s>", 3), ("<s>", 2), True, False)
    theirs.add_special_tokens([AddedToken(each, normalized=True) for each in ("<pad>", "<unk>", "<s>", "</s>")])
    theirs.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    for text in HARD + generated_lines(200):
        expected = theirs.encode(text, add_special_tokens=False)
        ids, offsets = learned.encode_with_offsets(text)
        assert ids.tolist() == expected.ids and list(map(tuple, offsets.tolist())) == expected.offsets
        assert learned.pack(ids, ids, 10**6).ids.tolist() == theirs.encode(text, text).ids


def test_the_same_lines_give_the_same_vocabulary():
    lines = generated_lines(100)
    first = fitted(lines)
    assert fitted([(line, "") for line in lines]).fingerprint == first.fingerprint != fitted().fingerprint
    code = """
        from tests.preprocessing.corpora import generated_lines
        from tests.preprocessing.test_bytepair import fitted
        print(fitted(generated_lines(100)).fingerprint)
        """
    assert run_python(code).strip() == first.fingerprint


def test_save_and_load(tmp_path, learned):
    learned.save(tmp_path)
    again = load_subwords(tmp_path)
    assert isinstance(again, BytePair) and again.fingerprint == learned.fingerprint
    assert again.encode(SENTENCES[3]).tolist() == learned.encode(SENTENCES[3]).tolist()
    # The files are those that other programs read.
    theirs = models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    assert Tokenizer(theirs).get_vocab_size() == learned.size
    assert json.loads((tmp_path / "bytepair.json").read_text())["format"] == 1


def test_bad_vocabularies_and_choices_are_refused(learned):
    vocabulary = {piece: index for index, piece in enumerate(learned.pieces(range(learned.size)))}
    with pytest.raises(UserError, match='merge 1: "q q" is to be merged, and the vocabulary has no piece "qq"'):
        BytePair.from_files(vocabulary, [("q", "q")])
    with pytest.raises(UserError, match='no special piece "<mask>"'):
        BytePair.from_files(
            {letter: index for index, letter in enumerate(["<pad>", "<unk>", "<s>", "</s>", *byte_letters()])}, []
        )
    with pytest.raises(UserError, match="no piece for a byte"):
        BytePair.from_files({"<s>": 0}, [])
    with pytest.raises(UserError, match="are not 0, 1, 2"):
        BytePair.from_files({**vocabulary, "new": 10**6}, [])
    with pytest.raises(UserError, match=r"(?s)\[preprocessing\] lowercase.*lowercase = false"):
        fitted(lowercase=True)
    with pytest.raises(UserError, match="no text"):
        fit_subwords([" ", ""], CHOICES)


def test_an_error_of_the_reader_comes_through():
    def lines():
        yield "one line"
        raise UserError("not UTF-8", where="my.en:2")

    with pytest.raises(UserError, match="my.en:2: not UTF-8"):
        fitted(lines())
