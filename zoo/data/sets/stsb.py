"""STS Benchmark: how alike two sentences are, from 0 to 5.

Cer et al.: SemEval-2017 Task 1: Semantic Textual Similarity (2017). The test is not here: "dev" is what is reported.
The rows of train stand by their sources, so "select" is headlines alone. Its makers ask not to train on SICK, on
MRPC's test or on MSR-Video where scores of this set are reported.
"""

from zoo.data.registry import About
from zoo.data.sets.tables import Part, TableSet

COLUMNS = {"text_a": "sentence1", "text_b": "sentence2", "score": "score", "genre": "genre"}

SET = TableSet(
    about=About(
        licence="Scores CC BY-SA 4.0; each source of texts has its own terms (Microsoft Research licence, EMM "
        "disclaimer and others).",
        home="https://ixa2.si.ehu.eus/stswiki",
        description="Pairs of captions, headlines and forum posts with a score from 0 to 5: 5,749 for training, 1,500 "
        "of dev.",
    ),
    folder="text/stsb",
    columns=("text_a", "text_b", "score", "genre"),
    parts={
        "train": Part("sts-train.tsv", "2f9007459220a03114565ae4b2de609fbee9f0c0cce72252383048264b28799d", COLUMNS),
        "dev": Part("sts-dev.tsv", "6b705fd53f971eeac6df3a22d8d4757ab0e4f9380ab318282bcd63edeb1970f2", COLUMNS),
    },
    carved=True,
)
