"""Bring a checkpoint of transformers or sentence-transformers in as a run: BERT, RoBERTa, DistilBERT.

zoo import-checkpoint downloads/sst2-distilbert runs/sst2     a classifier with its labels
zoo classify_text export runs/sst2 saved_models/sst2          then whatever one does with a run
zoo import-checkpoint downloads/bert runs/bert --task embed   the encoder alone, to be trained further by --from

PATH is a folder with config.json, a vocabulary, and model.safetensors or pytorch_model.bin; nothing in it is run.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.cli import CommandLine, backend_argument, set_argument

app = CommandLine("import_checkpoint", __doc__)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the folder of the checkpoint")
    parser.add_argument("run", metavar="RUN", help="the run's folder, made anew")
    parser.add_argument("--task", default="", metavar="TASK", help="what it is for (default: what its head is for)")


@app.alone(_arguments, set_argument, backend_argument)
def import_checkpoint(args: Namespace) -> None:
    """Make a run of a checkpoint."""
    from apps.commands.import_checkpoint import import_into_run

    import_into_run(args)


main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
