"""Tag text: names and other entities, with their places; train on your own CoNLL columns, score, export, ask.

zoo tag check    --train my.conll                            what is in the file, before any long work
zoo tag train    --train my.conll                            a token and its tag a line, a blank line between sentences
zoo tag export   runs/my saved_models/my                     a SavedModel that takes strings and answers entities
zoo tag evaluate saved_models/my --test test.conll
echo "Ada Lovelace was born in London." | zoo tag predict saved_models/my
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("tag", __doc__, checked=True)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
