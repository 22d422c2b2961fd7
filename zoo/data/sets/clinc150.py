"""CLINC150: what a user wants of an assistant, 150 intents, and what is out of its scope (label "oos").

Larson et al.: An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction (2019). The rows of train
stand in the order of their intents: choose on "val".
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"text": "text", "label": "intent"}
OUT_OF_SCOPE = "oos"

SET = TableSet(
    about=About(
        licence="CC BY 3.0",
        home="https://github.com/clinc/oos-eval",
        description="Requests to an assistant in 150 intents and out of scope: 15,000 + 100 for training, 3,000 + 100 "
        "for validation, 4,500 + 1,000 of test.",
    ),
    folder="text/clinc150",
    columns=("text", "label"),
    parts={
        "train": Part("train.tsv", "ccec52988b6152d128532809c2f3cb1fa2f1b41a8a594ed018a7d44dfd04e26e", COLUMNS),
        "val": Part("val.tsv", "a8db4ad70d94756c6e2c96398c46bab948e00f63da05e4959ac8ce90f6eb21a9", COLUMNS),
        "test": Part("test.tsv", "2e2c93f5ee152b693a5c3c17b1f1217211a215bbfb78017030a88703fb7e1ada", COLUMNS),
    },
)
