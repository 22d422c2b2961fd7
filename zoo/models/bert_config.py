"""Sizes and rates of Bert. Apart from the model, so that recipes are read and --help answers without Keras."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import UserError
from zoo.models.checks import check_fields
from zoo.recipe import option

HEADS = ("none", "classify", "tokens", "span", "masked_words", "pool")
CLASSIFYING = ("classify", "tokens")  # the heads with classes
POOLING = ("classify", "pool")  # the heads that read the pooler


@dataclass(frozen=True)
class Config:
    """Everything that decides the shape and the behaviour of an encoder: BERT, RoBERTa or DistilBERT."""

    vocabulary: int = option(0, "vocabulary size; 0: taken from the preprocessor", low=0)
    width: int = option(768, "D, the width of every block", low=1)
    feedforward: int = option(3072, "F, the inner width of the feed-forward network", low=1)
    heads: int = option(12, "attention heads; must divide the width", low=1)
    layers: int = option(12, "blocks of the encoder", low=1)
    activation: str = option(
        "gelu",
        "of the feed-forward network and the head of masked words: gelu (exact), gelu_tanh (approximated), relu",
        choices=("gelu", "gelu_tanh", "relu"),
    )
    norm: str = option("post", "layer normalisation after (post) or before (pre) each part", choices=("post", "pre"))
    epsilon: float = option(1e-12, "added to the variance in layer normalisation", low=0.0, high=0.1)
    max_length: int = option(512, "most positions", low=2)
    segments: int = option(2, "kinds of segments (the texts of a pair); 0: they are not told apart", low=0)
    position_offset: int = option(0, "rows of the table of positions before that of the first (RoBERTa: 2)", low=0)
    embedding_norm: bool = option(True, "layer normalisation of the embeddings")
    dropout: float = option(0.1, "on embeddings, the output of every part, and before the head", low=0.0, high=0.95)
    attention_dropout: float = option(0.0, "on attention weights; above 0 the plain product runs", low=0.0, high=0.95)
    head: str = option("none", "what stands above the encoder; tasks set it", choices=HEADS)
    order: bool = option(
        False, "with the head masked_words: the pooled vector tells whether two segments belong so; tasks set it"
    )
    classes: int = option(0, "outputs of the heads classify and tokens; 0: taken from the labels", low=0)
    pooler: str = option(
        "cls_dense",
        "one vector of a text, for the heads classify and pool: cls_dense (the first position through a dense layer), "
        "cls (the first position), mean (of all)",
        choices=("cls_dense", "cls", "mean"),
    )
    head_hidden: str = option(
        "none",
        "activation of one more dense layer in the head classify (RoBERTa: tanh, DistilBERT: relu)",
        choices=("none", "tanh", "relu"),
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % self.heads:
            raise UserError(f"{self.heads} heads do not divide the width {self.width}", where="heads")
        if self.order and self.head != "masked_words":
            raise UserError(
                f'the head "{self.head}" tells no order of segments',
                where="order",
                remedy="Leave it out: training.second_objective of fill_mask sets it.",
            )
        if self.classes and self.head not in CLASSIFYING:
            raise UserError(
                f'the head "{self.head}" has no classes',
                where="classes",
                remedy=f"Leave it at 0, or set head to {' or '.join(CLASSIFYING)}.",
            )

    @property
    def pools(self) -> bool:
        """Whether anything reads the pooler."""
        return self.head in POOLING or self.order


PRESETS = {
    # Turc et al., "Well-Read Students Learn Better", 2019 (arXiv 1908.08962); Devlin et al., 2018, table 6.
    "tiny": Config(width=128, feedforward=512, heads=2, layers=2),
    "mini": Config(width=256, feedforward=1024, heads=4, layers=4),
    "small": Config(width=512, feedforward=2048, heads=8, layers=4),
    "medium": Config(width=512, feedforward=2048, heads=8, layers=8),
    "base": Config(),
    "large": Config(width=1024, feedforward=4096, heads=16, layers=24),
    # Wang et al., "MiniLM", 2020 (arXiv 2002.10957), six layers, as sentence-transformers has it.
    "minilm_l6": Config(width=384, feedforward=1536, heads=12, layers=6, pooler="mean"),
    "debug": Config(width=32, feedforward=64, heads=2, layers=2),
}
