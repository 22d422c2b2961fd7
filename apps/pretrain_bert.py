"""Pre-train an encoder of BERT's kind on your own plain text; the task is fill_mask.

zoo pretrain_bert train --train my.txt                     a paragraph a line, an empty line between documents
zoo pretrain_bert train --train my.txt --set training.second_objective=sentence_order
zoo pretrain_bert train --recipe wiki-tiny
zoo classify_text train --train reviews.csv --from runs/my   what it learned serves every --from
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("fill_mask", __doc__, name="pretrain_bert")

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
