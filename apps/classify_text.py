"""Classify text: sentiment, topics, intents, pairs; train on your own labelled table, score, export, ask.

zoo classify_text check    --train my.csv                    what is in the file, before any long work
zoo classify_text train    --train my.csv                    columns text and label; a recipe is written for it
zoo classify_text train    --train my.tsv --columns text_a=0 text_b=1 label=2      pairs, in a file without header
zoo classify_text train    --recipe trec6 --from runs/minilm from weights that exist: a run, a home, an import
zoo classify_text export   runs/my saved_models/my           a SavedModel that takes strings and answers labels
zoo classify_text evaluate saved_models/my --test test.csv
echo "A warm, funny film." | zoo classify_text predict saved_models/my
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("classify_text", __doc__, checked=True)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
