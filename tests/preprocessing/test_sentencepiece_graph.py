"""The graph face gives what the host face gives, in this process and out of a SavedModel in another one."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.conftest import run_python
from tests.preprocessing.corpora import generated_lines, learning_lines, real_lines
from zoo.preprocessing.sentencepiece import SentencePiece, SentencePieceChoices

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")

CHOICES = {
    "bpe": SentencePieceChoices(kind="bpe", vocabulary=4000, character_coverage=0.98),
    "unigram, lowercase": SentencePieceChoices(
        kind="unigram", vocabulary=4000, character_coverage=0.98, lowercase=True
    ),
    "bpe, no bytes": SentencePieceChoices(
        vocabulary=3000, character_coverage=0.98, byte_fallback=False, lowercase=True
    ),
}
MAX_LENGTH = 48


@pytest.fixture(scope="module")
def hosts():
    with ThreadPoolExecutor(2) as threads:
        learned = threads.map(lambda choices: SentencePiece.fit(learning_lines(), choices), CHOICES.values())
        return dict(zip(CHOICES, learned, strict=True))


@pytest.fixture
def faces(hosts):
    return {name: (host, host.graph()) for name, host in hosts.items()}


def assert_same_ids(faces, texts):
    for name, (host, graph) in faces.items():
        ids, mask, truncated = (each.numpy() for each in graph.encode(tf.constant(texts, tf.string), MAX_LENGTH))
        assert ids.dtype == np.int32 and mask.dtype == bool and ids.shape == mask.shape and ids.shape[1] <= MAX_LENGTH
        assert (ids[~mask] == host.pad_id).all()
        for row, text in enumerate(texts):
            expected, cut = host.encode_within(text, MAX_LENGTH)
            assert ids[row][mask[row]].tolist() == expected.tolist(), (name, text)
            assert bool(truncated[row]) == cut, (name, text)


def test_same_ids_of_real_lines(faces):
    assert_same_ids(faces, [line.encode() for line in real_lines(split="train")[::15] + real_lines()[::3]])


def test_same_ids_of_generated_lines(faces):
    lines = generated_lines(4000)
    assert_same_ids(faces, [line.encode() for line in lines])


def test_same_ids_of_invalid_bytes(faces):
    rng = random.Random(3)
    starts = [
        b"\xf0\x9f\x98\x80",
        b"\xe2\x82\xac",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xf4\x90\x80\x80",
        b"A",
        b"\xef\xbb\xbf",
    ]
    noise = [b"".join(rng.choice(starts)[: rng.randint(1, 4)] for _ in range(rng.randint(1, 12))) for _ in range(500)]
    assert_same_ids(faces, noise + [rng.randbytes(rng.randint(1, 40)) for _ in range(500)])


def test_extremes(faces):
    long = [
        "x" * 100_000,
        "😀" * 100_000,
        "wort " * 20_000,
        " " * 100_000,
        "\x00" * 100_000,
        "",
        " ",
        "a" * (16 * MAX_LENGTH),
    ]
    assert_same_ids(faces, [text.encode() for text in long])


def test_empty_batch(faces):
    _, graph = faces["bpe"]
    ids, mask, truncated = graph.encode(tf.constant([], tf.string), MAX_LENGTH)
    assert ids.shape == mask.shape == (0, 1) and truncated.shape == (0,)
    assert graph.decode(tf.zeros([0, 5], tf.int32), tf.zeros([0], tf.int32)).shape == (0,)
    assert graph.decode(tf.zeros([2, 0], tf.int32), tf.zeros([2], tf.int32)).numpy().tolist() == [b"", b""]


def test_lowercasing_of_every_letter(faces):
    """Letters up to Unicode 13, the version inside TensorFlow; and the rule of the last sigma."""
    _, graph = faces["unigram, lowercase"]
    newer = {0x2C2F, 0xA7C0, 0xA7D0, 0xA7D6, 0xA7D8, *range(0x10570, 0x10596)}
    letters = [chr(code) for code in range(1, 0x1F000) if not 0xD800 <= code < 0xE000 and code not in newer]
    changed = [letter for letter in letters if letter.lower() != letter] + [
        "ΟΔΥΣΣΕΥΣ",
        "ΣΑΣ Σ",
        "ΑΣ.",
        "ΑΣ΄Α",
        "ΑΣ\u0301",
    ]
    lowered = graph._cased(tf.constant(changed, tf.string)).numpy()
    assert [each.decode() for each in lowered] == [each.lower() for each in changed] and len(changed) > 1300


def test_same_text_of_any_ids(faces):
    rng = np.random.default_rng(4)
    for name, (host, graph) in faces.items():
        anything = rng.integers(-2, host.size + 2, [1500, 24])
        anything[::2] %= 270  # bytes and special pieces, out of order
        lengths = rng.integers(0, 25, 1500)
        texts = graph.decode(tf.constant(anything, tf.int32), tf.constant(lengths, tf.int32)).numpy()
        expected = [host.decode(row[:length]) for row, length in zip(anything, lengths, strict=True)]
        assert [text.decode() for text in texts] == expected, name
        pieces = graph.pieces(tf.constant(anything[:200], tf.int32)).numpy()
        assert [[piece.decode() for piece in row] for row in pieces] == [host.pieces(row) for row in anything[:200]]


SERVE = """
    import json, sys
    import tensorflow as tf, tensorflow_text
    served = tf.saved_model.load(sys.argv[1])
    texts = [bytes.fromhex(text) for text in json.load(open(sys.argv[2]))]
    ids, mask, truncated = served.encode(tf.constant(texts))
    back = [text.decode() for text in served.decode(ids, tf.fill([len(texts)], 48)).numpy()]
    assert not [name for name in sys.modules if name.split(".")[0] == "zoo"]
    rows = [row[real].tolist() for row, real in zip(ids.numpy(), mask.numpy())]
    print(json.dumps([rows, truncated.numpy().tolist(), back]))
    """


def test_out_of_a_saved_model_in_a_fresh_process(faces, tmp_path):
    host, graph = faces["unigram, lowercase"]
    module = tf.Module()
    module.graph = graph
    module.encode = tf.function(lambda texts: graph.encode(texts, MAX_LENGTH), [tf.TensorSpec([None], tf.string)])
    module.decode = tf.function(graph.decode, [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    assert not list((tmp_path / "saved/assets").iterdir())
    texts = [line.encode() for line in generated_lines(200, seed=5)]
    (tmp_path / "texts.json").write_text(json.dumps([text.hex() for text in texts]))
    answer = run_python(SERVE, str(tmp_path / "saved"), str(tmp_path / "texts.json"))
    for text, row, truncated, back in zip(texts, *json.loads(answer), strict=True):
        ids, cut = host.encode_within(text, MAX_LENGTH)
        assert (row, truncated, back) == (ids.tolist(), cut, host.decode(ids))
