"""Search among the sentences of a file, by an embedder."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable

import numpy as np

from apps.commands.sentences import Sentences, open_embedder, read_sentences
from zoo.data.textfiles import read_lines, survey
from zoo.data.vectors import Pair, nearest, nearest_pairs
from zoo.errors import UserError

TOGETHER = 256  # queries that are looked for in one pass through the vectors


def search_sentences(args: Namespace) -> None:
    """Prints the nearest sentences to each query, or the pairs that are nearest to each other."""
    if args.top < 1:
        raise UserError("at least one answer is wanted", where=f"--top {args.top}")
    queries = _queries(args)
    corpus = read_sentences(args.corpus, args.column)
    embedder = open_embedder(args.model)
    blocks = embedder.vectors(corpus)
    if args.pairs:
        for pair in nearest_pairs(blocks, args.top):
            _tell_pair(pair, corpus, args.json)
    for first in range(0, len(queries), TOGETHER):
        asked = queries[first : first + TOGETHER]
        for query, scores, rows in zip(asked, *nearest(embedder.embed(asked), blocks, args.top), strict=True):
            _tell_found(query, scores, rows, corpus, args.json)


def _queries(args: Namespace) -> list[str]:
    """What is looked for; nothing with --pairs.

    Raises: UserError with its place for an empty one.
    """
    given: Iterable[tuple[str, str]] = (("--query", query) for query in args.query or ())
    if args.queries:
        survey(args.queries)
        given = ((f"{args.queries}:{number}", line) for number, line in enumerate(read_lines(args.queries), 1))
    queries = []
    for place, query in given:
        if not query.strip():
            raise UserError("there is nothing to look for in an empty text", where=place)
        queries.append(query)
    return queries


def _tell_found(query: str, scores: np.ndarray, rows: np.ndarray, corpus: Sentences, as_json: bool) -> None:
    found = [
        {"score": round(float(score), 4), "line": corpus.lines[row], "text": corpus.texts[row]}
        for score, row in zip(scores, rows, strict=True)
    ]
    if as_json:
        print(json.dumps({"query": query, "found": found}, ensure_ascii=False))
        return
    print(_one_line(query))
    for each in found:
        print(f"  {each['score']:.4f}  {each['line']:>7}  {_one_line(each['text'])}")


def _tell_pair(pair: Pair, corpus: Sentences, as_json: bool) -> None:
    lines, texts = ([given[row] for row in pair[1:]] for given in (corpus.lines, corpus.texts))
    if as_json:
        print(json.dumps({"score": round(pair.score, 4), "lines": lines, "texts": texts}, ensure_ascii=False))
        return
    print(f"{pair.score:.4f}")
    for line, text in zip(lines, texts, strict=True):
        print(f"  {line:>7}  {_one_line(text)}")


def _one_line(text: str) -> str:
    """A field of CSV may hold line ends."""
    return " ".join(text.split())
