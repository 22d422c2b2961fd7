"""MRPC: do two sentences from the news say the same? The original division, both parts with labels.

Dolan, Brockett: Automatically Constructing a Corpus of Sentential Paraphrases (2005). The score is F1 of "paraphrase"
and accuracy; always "paraphrase" has an accuracy of 66.5 %.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"text_a": "#1 String", "text_b": "#2 String", "label": "Quality"}

SET = TableSet(
    about=About(
        licence="Microsoft Research Shared Source licence: non-commercial use only.",
        home="https://www.microsoft.com/en-us/download/details.aspx?id=52398",
        description="Pairs of sentences from the news: 4,076 for training, 1,725 of test.",
    ),
    folder="text/mrpc",
    columns=("text_a", "text_b", "label"),
    parts={
        "train": Part(
            "msr_paraphrase_train.txt",
            "178c3d39a096a887a4afa2fdecc9089ad7d7f74c019a95ce8cdac2b4855ebf4a",
            COLUMNS,
            ".tsv",
        ),
        "test": Part(
            "msr_paraphrase_test.txt",
            "0d1a876ed5b29dc9779ec212f0d7a1601caafbc5837cd1200e638f0b0a654562",
            COLUMNS,
            ".tsv",
        ),
    },
    carved=True,
    names={"label": {"0": "different", "1": "paraphrase"}},
)
