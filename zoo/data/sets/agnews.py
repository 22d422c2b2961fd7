"""AG News: what a newspaper article is about, from its title and first sentences.

Zhang, Zhao, LeCun: Character-level Convolutional Networks for Text Classification (2015). The test is the complete
official one; of the 120,000 training rows, 13,506 are here.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

BASE = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv"

SET = TableSet(
    about=About(
        licence="For research and any other non-commercial activity, as its readme says.",
        home="http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
        description="News in four classes: 13,506 rows of the training set (three in ten with their title, the others "
        "without), and the whole test of 7,600.",
    ),
    folder="text/agnews",
    columns=("text", "label"),
    parts={
        "train": Part(
            "train.tsv",
            "f815996d3727fb8ade9b1e5d5dbd2db1ae8b119639bb2aac4532aa2def144414",
            {"text": "text", "label": "class"},
        ),
        "test": Part(
            "test.csv",
            "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
            {"text": ("1", "2"), "label": "0"},
            url=f"{BASE}/test.csv",
        ),
    },
    carved=True,
    names={"label": {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}},
)
