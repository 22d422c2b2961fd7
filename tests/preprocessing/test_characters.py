"""The tables of characters say what the tokenizers library does to each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers

from zoo.preprocessing.characters import ALONE, BLANK, IN_WORD, NONE, Ranges, bert_characters, pattern_classes


@given(st.lists(st.tuples(st.integers(-1, 6), st.integers(0, 2)), min_size=1, max_size=30))
def test_ranges_hold_any_table(rows):
    rows = np.array(rows)
    assert np.array_equal(Ranges(rows)[np.arange(len(rows))], rows)


def test_even_steps_take_one_range():
    rows = np.array([[5, 1], [6, 1], [7, 1], [7, 0], [7, 0]])
    assert Ranges(rows).begins.tolist() == [0, 3]


@pytest.mark.parametrize(("lowercase", "strip_accents", "cjk"), [(True, True, True), (False, False, False)])
def test_every_character_becomes_what_the_library_makes_of_it(lowercase, strip_accents, cjk):
    table = bert_characters(lowercase, strip_accents, cjk)
    normalizer = normalizers.BertNormalizer(True, cjk, strip_accents, lowercase)
    cutter = pre_tokenizers.BertPreTokenizer()
    characters = [each for each in range(0x30000) if not 0xD800 <= each < 0xE000]
    for character, (*made, cut) in zip(characters, table[np.array(characters)].tolist(), strict=True):
        text = "".join(chr(each) for each in made if each != NONE)
        expected = [word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(f"a{chr(character)}b"))]
        assert expected == {BLANK: ["a", "b"], ALONE: ["a", text, "b"], IN_WORD: [f"a{text}b"]}[cut], hex(character)
    assert len(table.begins) < 4000  # what a graph has to carry


def test_classes_of_the_pattern():
    classes = pattern_classes()[np.array([ord(each) for each in "aé中ー1²Ⅷ \n\u00a0\u3000'~!\u0301😀"])]
    assert classes[:, 0].tolist() == [1] * 4 + [2] * 3 + [3] * 4 + [0] * 5
