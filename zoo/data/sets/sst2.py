"""SST-2: phrases and sentences of film reviews, positive or negative, in the form of GLUE.

Socher et al.: Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank (2013).

GLUE's test has no labels, so "dev" is what is reported. The phrases of "select" are parts of the same sentences as
those of "train", so scores there are too high: good for choosing, for nothing else.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"text": "sentence", "label": "label"}

SET = TableSet(
    about=About(
        licence="None stated by its authors; the repository that these files are from is under MIT.",
        home="https://nlp.stanford.edu/sentiment",
        description="Film reviews, lower-cased and tokenized: 67,349 phrases for training, 872 sentences of dev.",
    ),
    folder="text/sst2",
    columns=("text", "label"),
    parts={
        "train": Part("train.tsv", "a1869007f9b58334c39f556b0b3ee47f57610e73cf1bd6688927be68d7e3815e", COLUMNS),
        "dev": Part("dev.tsv", "db8f4a5951968681dadc4c6ddaf53e8ba31a1436574072c3fa6273a5d333b35a", COLUMNS),
    },
    carved=True,
    names={"label": {"0": "negative", "1": "positive"}},
)
