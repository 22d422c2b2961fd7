"""TREC: what kind of answer a question asks for, in 6 coarse and 50 fine classes.

Li, Roth: Learning Question Classifiers (2002). 11 questions of the test also stand in train, as published.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"text": "question", "label": "coarse", "fine": "fine"}

SET = TableSet(
    about=About(
        licence="None stated by its authors; the repository that these files are from is under MIT.",
        home="https://cogcomp.seas.upenn.edu/Data/QA/QC",
        description="Questions by the kind of their answer, tokenized: 5,452 for training, 500 of test.",
    ),
    folder="text/trec",
    columns=("text", "label", "fine"),
    parts={
        "train": Part("train.tsv", "de6e6aaa24aae698d22c3be9b9e090a025e1f9eae928ac94d1db1353e1559911", COLUMNS),
        "test": Part("test.tsv", "c903049ba3b123c86bd4f38484c9dbc219e2f67f2c6ef0d94d482dcf417bccd7", COLUMNS),
    },
    carved=True,
)
