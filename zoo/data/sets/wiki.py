"""Paragraphs of English Wikipedia, for pre-training: one a row, and a row with an empty text between two articles.

That is BERT's own form of pre-training text (Devlin et al., 2018) and that of any plain text file with blank lines,
so what packs documents reads this set and a user's files alike. Our own division: there is no published score.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"text": "text"}

SET = TableSet(
    about=About(
        licence="CC BY-SA, by Wikipedia's authors",
        home="https://en.wikipedia.org",
        description="Clean prose of spring 2015: 2,048 articles (3.2 million words) for training, 50 each of valid and "
        "test. An empty text stands between two articles.",
    ),
    folder="text/wiki",
    columns=("text",),
    parts={
        "train": Part("train.txt", "9249e91083c6c20effb1041982430172ffba434bbfa43185cdacf9b9b932c467", COLUMNS, ".txt"),
        "valid": Part("valid.txt", "0574d6518c28a39db94a83b0a1b1c11448fd8e0535928432a0c7c12657ce7f8c", COLUMNS, ".txt"),
        "test": Part("test.txt", "a03eae5ea37af2eac900bd59be0569a215b25828dbe3a969b9a5e04561f99d94", COLUMNS, ".txt"),
    },
)
