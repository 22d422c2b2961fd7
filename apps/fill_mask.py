"""Fill the mask: pre-train an encoder on your own plain text, score, export, ask.

zoo fill_mask train    --train my.txt                      one text a line; what it learns serves every --from
zoo fill_mask export   runs/my saved_models/my               a SavedModel that takes a text with a mask in it
zoo fill_mask evaluate saved_models/my --test test.txt
echo "The [MASK] barks." | zoo fill_mask predict saved_models/my
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("fill_mask", __doc__)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
