"""Embed text: vectors that are near each other where meanings are; train on your own pairs, score, export, search.

zoo embed train    --train my.tsv                            columns text_a, text_b and score
zoo embed export   runs/my saved_models/my                   a SavedModel that takes strings and answers vectors
zoo embed evaluate saved_models/my --test test.tsv
zoo embed search   saved_models/my --corpus sentences.txt --query "A dog runs."
printf 'A dog runs.\\tA dog is running.\\n' | zoo embed predict saved_models/my     the cosine of each pair
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.cli import backend_argument
from apps.commands.frame import column_argument, model_argument, task_line

app = task_line("embed", __doc__)


def _search_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--corpus", metavar="FILE", required=True, help="where to search: plain text, a sentence a line, or a table"
    )
    column_argument(parser)
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--query", metavar="TEXT", action="append", help="what is looked for; may be repeated")
    wanted.add_argument("--queries", metavar="FILE", help="what is looked for, a query a line")
    wanted.add_argument("--pairs", action="store_true", help="the pairs within the file that are nearest to each other")
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="answers a query, or pairs (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")


@app.command(model_argument, _search_arguments, backend_argument)
def search(args: Namespace) -> None:
    """Find the sentences of a file that are nearest to a query by the cosine of their vectors.

    The vectors are made once for a file and a model, and kept below $ZOO_CACHE, by default ~/.cache/zoo.
    """
    from apps.commands.embed_search import search_sentences

    search_sentences(args)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
