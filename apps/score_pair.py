"""Score pairs of texts, such as how alike they are: train on your own table, score, export, ask.

zoo score_pair train    --train my.tsv                       columns text_a, text_b and score
zoo score_pair export   runs/my saved_models/my
zoo score_pair evaluate saved_models/my --test test.tsv
printf 'A dog runs.\\tA dog is running.\\n' | zoo score_pair predict saved_models/my
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("score_pair", __doc__)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
