"""Look into encoders: attention of layers and heads, what speaks for a class, which are confused, a map of sentences.

zoo look attention  runs/sst2 "A warm, funny film."  --output attention.html     to look around in, in any browser
zoo look importance runs/sst2 "A warm, funny film."  --label positive            integrated gradients
zoo look confusion  saved_models/sst2 --data sst2 --split dev                    through the SavedModel
zoo look map        saved_models/stsb --input my.csv --labels topic              where an embedder puts sentences
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.cli import Arguments, CommandLine, backend_argument, on_tensorflow
from apps.commands.frame import column_argument, model_argument

app = CommandLine("look", __doc__)


def _text(parser: ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="what the model reads")
    parser.add_argument("--pair", metavar="TEXT", help="the second text of a pair")


def _label(parser: ArgumentParser) -> None:
    parser.add_argument("--label", metavar="NAME", help="the class that is asked about (default: the likeliest)")


def _test_set(parser: ArgumentParser) -> None:
    parser.add_argument("--data", metavar="NAME", help="a known data set, such as sst2")
    parser.add_argument("--split", metavar="NAME", default="test", help="its split, such as dev (default: test)")
    parser.add_argument("--test", metavar="FILE", help="your own examples, with columns as in training")


def _map(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--input", metavar="FILE", required=True, help="plain text, a sentence a line, or a .csv, .tsv or .jsonl"
    )
    column_argument(parser)
    parser.add_argument("--labels", metavar="COLUMN", help="what the sentences are coloured by, in a table")
    about = "pca is fast and always the same; tsne keeps neighbours together, by scikit-learn (default: %(default)s)"
    parser.add_argument("--method", choices=("pca", "tsne"), default="pca", help=about)


def _output(name: str) -> Arguments:
    def add(parser: ArgumentParser) -> None:
        parser.add_argument("--output", metavar="FILE", default=name, help="(default: %(default)s)")

    return add


@app.command(model_argument, _text, _output("attention.html"), backend_argument)
def attention(args: Namespace) -> None:
    """Write a page of the attention over a text or a pair: choose layer and head, point at a piece."""
    from apps.commands.look import attention_page

    attention_page(args)


@app.command(model_argument, _text, _label, _output("importance.html"), backend_argument)
def importance(args: Namespace) -> None:
    """Write a page of what each piece of a text adds to the logit of a class, by integrated gradients."""
    from apps.commands.look import importance_page

    importance_page(args)


@app.command(model_argument, _test_set, _output("confusion.png"), on_tensorflow)
def confusion(args: Namespace) -> None:
    """Draw which class an exported classifier took for which, on a test set."""
    from apps.commands.look import confusion_picture

    confusion_picture(args)


@app.command(model_argument, _map, _output("map.html"), backend_argument)
def map_(args: Namespace) -> None:
    """Write a page, and a picture beside it (.png), of where an embedder puts the sentences of a file."""
    from apps.commands.look import map_page

    map_page(args)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
