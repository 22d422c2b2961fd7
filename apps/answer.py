"""Answer questions from a text: train on your own SQuAD JSON, score, export, ask.

zoo answer train    --train my.json                          as SQuAD 1.1 and 2.0 lay it out
zoo answer export   runs/my saved_models/my                  a SavedModel that takes question and context
zoo answer evaluate saved_models/my --test dev.json
printf 'Who ran?\\tA dog ran.\\n' | zoo answer predict saved_models/my
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("answer", __doc__)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
