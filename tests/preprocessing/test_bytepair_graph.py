"""The graph face of byte pairs gives the ids and offsets of the tokenizers library, out of a SavedModel too."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.preprocessing.corpora import generated_lines
from tests.preprocessing.subword_lines import (
    HARD,
    assert_same_first_pieces,
    assert_same_packing,
    assert_same_pieces,
    real_texts,
)
from zoo.preprocessing.bytepair import LONGEST_WORD, BytePair
from zoo.preprocessing.subwords import Special, SubwordChoices

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")

# What GPT-2's pattern treats apart, and what it does not.
TRICKY = "'" * 8 + "stmdrevlaS" + "  \n\u00a0" * 2 + "1²!.é\u0301中😀<mask>"


@pytest.fixture(scope="module")
def host() -> BytePair:
    lines = generated_lines(300) + HARD + ["the and ing don't they're we'll -------- ======== aaaaaaaa"] * 20
    return BytePair.fit(lines, SubwordChoices(kind="bytepair", vocabulary=3000, lowercase=False))


@pytest.fixture
def graph(host):
    return host.graph()


def test_same_pieces_of_hard_and_generated_lines(host, graph):
    assert_same_pieces(host, graph, HARD + generated_lines(500, seed=5))


def test_same_pieces_of_real_lines(host, graph):
    assert_same_pieces(host, graph, real_texts())


def test_same_pieces_of_every_character(host, graph):
    """Between numbers: of letters it would be words of thousands, whose merges take as many turns."""
    characters = [chr(each) for each in (*range(0x3000), *range(0xA000, 0xAC80), *range(0xF900, 0x10000))]
    blocks = ["1".join(characters[first : first + 512]) for first in range(0, len(characters), 512)]
    assert_same_pieces(host, graph, blocks)


def test_same_packing(host, graph):
    texts = HARD[::2] + generated_lines(40)
    assert_same_packing(host, graph, texts, texts[::-1])


def test_same_pieces_of_any_text(host):
    """Any characters, and those that GPT-2's pattern treats apart."""
    graph = host.graph()  # here and not in a fixture: seeding, as between tests, drops its tables
    tokenize = tf.function(graph.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    characters = st.characters(exclude_categories=["Cs"])

    @settings(max_examples=60)
    @given(
        texts=st.lists(st.text(characters, max_size=30), max_size=3),
        tricky=st.lists(st.text(st.sampled_from(TRICKY), max_size=20), min_size=5, max_size=20),
    )
    def check(texts, tricky):
        assert_same_pieces(host, graph, texts + tricky, tokenize)

    check()


def test_a_long_word_is_cut(host, graph):
    """Its merges would take thousands of turns, and the graph makes no more than `LONGEST_WORD`."""
    rng = random.Random(7)
    letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyzéß中", k=100_000))
    texts = [letters, " " * 3000 + "a", "x" * LONGEST_WORD + " b", "y " + "x" * LONGEST_WORD, "é" * 700 + "'ll 😀"]
    assert_same_pieces(host, graph, texts)
    assert_same_first_pieces(host, graph, [*texts, *HARD], 8)
    assert graph.tokenize(texts, 8)[0].row_lengths().numpy().max() <= 8 * LONGEST_WORD
    texts[0] = letters[:2000]
    assert_same_packing(host, graph, texts, texts[::-1])


def test_special_pieces_by_the_thousand(host, graph):
    assert_same_pieces(host, graph, ["</s>" * 8000, "a <mask>" * 500 + "\0"])


def test_a_piece_for_everything_and_no_blanks_taken(host):
    """GPT-2 has one special piece."""
    pieces = ["<|endoftext|>", *host.pieces(range(5, host.size))]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    gpt = BytePair.from_files(
        vocabulary, host._merges, special=Special(*["<|endoftext|>"] * 5), mask_takes_blanks=False
    )
    texts = ["a <|endoftext|>b", "<|endoftext|><|endoftext|", *HARD[:20]]
    assert_same_pieces(gpt, gpt.graph(), texts)


def test_invalid_bytes_and_empty_batches(host, graph):
    ids = graph.tokenize(tf.constant([b"a\xffb", b"\xf0\x9f"]))[0].to_list()
    assert ids == [host.encode(text).tolist() for text in ("a\ufffdb", "\ufffd")]
    nothing = tf.constant([], tf.string)
    assert [each.shape[0] for each in graph.tokenize(nothing)] == [0, 0, 0]
    assert graph.pack(nothing, nothing)[0].shape == (0, 1)
    assert graph.pack(tf.constant([""]))[0].numpy().tolist() == [[host.start_id, host.end_id]]


def test_a_saved_graph_is_whole(host, graph, tmp_path):
    graph.packed = tf.function(lambda a: graph.pack(a, None, 24), input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(graph, str(tmp_path / "saved"))
    assert not list((tmp_path / "saved/assets").iterdir())
    assert (tmp_path / "saved/saved_model.pb").stat().st_size < 18 * host.size + 400_000
    texts = HARD + generated_lines(20)
    ids, mask, _, cut = tf.saved_model.load(str(tmp_path / "saved")).packed(texts)
    for row, text in enumerate(texts):
        packed = host.pack(host.encode(text), most=24)
        assert ids[row][mask[row]].numpy().tolist() == packed.ids.tolist() and bool(cut[row]) == packed.cut
