"""Lines that subword tokenizers get wrong, real ones, and what holds of both faces on them."""

import gzip

import pytest

from tests.conftest import data
from tests.preprocessing.corpora import real_lines

HARD = [
    "", " ", "\t\n ", "a", "Hello, world!", "naïve café Ångström İstanbul ΟΔΥΣΣΕΥΣ Straße ﬁn … ½",
    "e\u0301a\u0323\u0307 \u0301x o\u0328\u0304", "\u1e9b\u0323 \u0344 각힣 한국어 ㎏ ﷺ",
    "東京都は日本の首都。漢字\u0301かな",
    "中文abc中文", "😀👩🏽‍🚒🇩🇪 text😀text", "a\u200bb\u200dc\u00add\ufeffe", "nul\x00 bell\x07 del\x7f nel\x85 x",
    "tab\tnew\nline\r\nfeed\x0bform\x0c", "blanks\u00a0\u2003\u3000\u2028x  y   z    ", "[MASK]",
    "a[MASK]b [mask] [ MASK ]",
    "[CLS] x [SEP][SEP] [PAD] [UNK]!", "[[MASK]] [MASK", "<mask> a <mask>b  \u00a0<mask>\n<s>x</s> <pad><unk><MASK>",
    "x" * 1000, "ab " * 300, "é" * 101 + " " + "e\u0301" * 100, "😀" * 150, "!" * 300, "-" * 1000, "ab" * 500,
    " " * 500 + "a",
    "don't I'll they're we've I'm he'd it's 'tis 's''s !'s 'S DON'T 'sam", "\n's  's \n 's 't'll'd've",
    "1,234.56 $5 №7 ²³ ١٢٣ v2.0", "https://t.co/aB3 @user #tag_x :-)", "नमस्ते दुनिया को ொ", "שָׁלוֹם مرحبًا ไทยกำ",
    "\x01 a\x01\x00\x02\x01<mask>\x00[MASK]\x01\x02\x01\x03", "\x00\x00\x03\x01",
    "\ufffd \ufdd0\uffff\U0001fffe \ue000",
    "\U0001d160\U0001d1bb 𝔘𝔫𝔦 ǅ ŉ ǰ", "\u0378\u0530 \U000e0041",
]  # fmt: skip


def real_texts() -> list[str]:
    """2,000 lines of reviews, encyclopedia, German and tweets; skips the test where the data is not at hand."""
    files = [data(f"text/{name}") for name in ("sst2/dev.tsv.gz", "wiki/valid.txt.gz", "wnut17/wnut17train.conll.gz")]
    if not all(file.is_file() for file in files):
        pytest.skip("needs text/sst2, text/wiki and text/wnut17 below ZOO_DATA")
    reviews, wiki, tweets = (gzip.decompress(file.read_bytes()).decode() for file in files)
    paragraphs = [line[:600] for line in wiki.split("\n") if line.strip()]
    joined = [" ".join(token.split("\t")[0] for token in tweet.split("\n")) for tweet in tweets.split("\n\n")]
    kinds = [reviews.split("\n")[1:], paragraphs, real_lines("de"), joined]
    return [line for kind in kinds for line in kind[:500]]


def assert_same_pieces(host, graph, texts, tokenize=None):
    """Ids and offsets of the host face and of the graph are the same, each text told that is not."""
    import tensorflow as tf

    ids, starts, ends = (tokenize or graph.tokenize)(tf.constant(texts, tf.string, [len(texts)]))
    assert ids.dtype == starts.dtype == ends.dtype == tf.int32 and ids.shape[0] == len(texts)
    for text, *got in zip(texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True):
        expected, offsets = host.encode_with_offsets(text)
        assert got == [expected.tolist(), offsets[:, 0].tolist(), offsets[:, 1].tolist()], repr(text)


def assert_same_first_pieces(host, graph, texts, most):
    """Asked for so many pieces, the graph gives at least as many, and they are the text's first."""
    import tensorflow as tf

    for text, *got in zip(texts, *(each.to_list() for each in graph.tokenize(tf.constant(texts), most)), strict=True):
        ids, offsets = host.encode_with_offsets(text)
        count = len(got[0])
        assert count >= min(most, len(ids)), repr(text)
        assert got == [ids[:count].tolist(), *offsets[:count].T.tolist()], repr(text)


def assert_same_packing(host, graph, first, second):
    """Packed texts and pairs are the same, cut to several lengths."""
    import numpy as np

    for most in (8, 9, 30, 128):
        for others in (None, second):
            ids, mask, segments, cut = (each.numpy() for each in graph.pack(first, others, most))
            assert ids.dtype == segments.dtype == np.int32 and ids.shape == mask.shape == segments.shape
            assert (ids[~mask] == host.pad_id).all() and not segments[~mask].any() and ids.shape[1] <= most
            for row, text in enumerate(first):
                other = None if others is None else host.encode(others[row])
                packed = host.pack(host.encode(text), other, most)
                assert ids[row][mask[row]].tolist() == packed.ids.tolist(), (text, others and others[row])
                assert segments[row][mask[row]].tolist() == packed.segments.tolist() and bool(cut[row]) == packed.cut
