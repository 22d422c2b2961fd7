"""SQuAD: questions on paragraphs of Wikipedia, each answered by a span of its paragraph, or (2.0) by none.

Rajpurkar et al.: SQuAD: 100,000+ Questions for Machine Comprehension of Text (2016); Know What You Don't Know (2018).

Parts of both: training questions of 1.1 whose answer stands once in the paragraph (so its start is known), and ten
articles of dev, as "dev" with the answerable questions (1.1) and as "dev_v2" with all (2.0). Ids are not the official
ones. Scores on a part of dev are no published scores.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {name: name for name in ("question", "context", "answers", "id", "title")}

SET = TableSet(
    about=About(
        licence="CC BY-SA 4.0",
        home="https://rajpurkar.github.io/SQuAD-explorer",
        description="Questions on paragraphs of Wikipedia: 7,228 for training; 1,863 of dev with answers, and the same "
        "with 2,035 more that have none.",
    ),
    folder="text/squad",
    columns=tuple(COLUMNS),
    parts={
        "train": Part(
            "train-v1.1-part.json", "d5eb47928eb7ddafc1efa3bd7484e00d9208ab85b5ed8520b793bc88da25cc44", COLUMNS
        ),
        "dev": Part("dev-v1.1-part.json", "eb5d325eb96a09903ca5e2683829b56a239162eacdfc50faab8b6c976f827fe6", COLUMNS),
        "dev_v2": Part(
            "dev-v2.0-part.json", "3c3c4c524b39f0da28af6f94c4a516247be11301de513bd1ac22a9bcd2d3c042", COLUMNS
        ),
    },
    carved=True,
)
