"""WNUT-17: rare and new names in tweets and forum posts, six kinds, in IOB2.

Derczynski et al.: Results of the WNUT2017 Shared Task on Novel and Emerging Entity Recognition (2017). The test is not
here: "dev" is what is reported. Scores are low by design, since names of dev do not occur in train.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"words": "words", "tags": "tags"}

SET = TableSet(
    about=About(
        licence="CC BY 4.0",
        home="https://github.com/leondz/emerging_entities_17",
        description="Tokenized posts with person, location, group, corporation, product and creative-work: 3,394 "
        "sentences for training, 1,009 of dev.",
    ),
    folder="text/wnut17",
    columns=("words", "tags"),
    parts={
        "train": Part("wnut17train.conll", "707d8fbadf7ab186e7998fdcbea41470d25d0a453049f531d0c8d0c810a8d8cb", COLUMNS),
        "dev": Part(
            "emerging.dev.conll",
            "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
            COLUMNS,
            url="https://raw.githubusercontent.com/leondz/emerging_entities_17/master/emerging.dev.conll",
        ),
    },
    carved=True,
)
