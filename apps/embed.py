"""Embed text: vectors that are near each other where meanings are; train on your own pairs, score, export, ask.

zoo embed train    --train my.tsv                            columns text_a, text_b and score
zoo embed export   runs/my saved_models/my                   a SavedModel that takes strings and answers vectors
zoo embed evaluate saved_models/my --test test.tsv
printf 'A dog runs.\\tA dog is running.\\n' | zoo embed predict saved_models/my     the cosine of each pair
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("embed", __doc__)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
