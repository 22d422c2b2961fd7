"""SICK: pairs of sentences with entailment (three classes) and relatedness (1 to 5).

Marelli et al.: A SICK cure for the evaluation of compositional distributional semantic models (2014). 50 pairs stand in
train and in test, as published.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {
    "text_a": "sentence_A",
    "text_b": "sentence_B",
    "label": "entailment_judgment",
    "score": "relatedness_score",
}

SET = TableSet(
    about=About(
        licence="CC BY-NC-SA 3.0 by its authors; the repository that these files are from states none.",
        home="https://alt.qcri.org/semeval2014/task1",
        description="Pairs of simple sentences, entailment and relatedness: 4,500 for training, 500 of trial (for "
        "validation), 4,927 of test.",
    ),
    folder="text/sick",
    columns=("text_a", "text_b", "label", "score"),
    parts={
        "train": Part(
            "SICK_train.txt", "266cf8047149bd1d68138dd30439f3122bff30069740ac6705bb6197d9f1b48e", COLUMNS, ".tsv"
        ),
        "trial": Part(
            "SICK_trial.txt", "5a88cfb62f8c6bd2a3cce0f2421ba2cb8c2be5ab4a800f6f01e2c64aafb7db56", COLUMNS, ".tsv"
        ),
        "test": Part(
            "SICK_test_annotated.txt",
            "4e313cdff4143122ee30541df2821f87f57c85d2763ab1a436fdb9863e34c1cc",
            COLUMNS,
            ".tsv",
        ),
    },
)
