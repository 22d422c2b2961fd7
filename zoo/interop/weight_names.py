"""What BERT, RoBERTa and DistilBERT call their weights in the checkpoints of transformers, beside our names.

Theirs is a dense layer's weight [out, in], ours a kernel [in, out]; all else has the same shape on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from zoo.models.bert_config import Config


class Weight(NamedTuple):
    """One weight: its path in our model, its name in theirs, its shape in theirs."""

    ours: str
    theirs: str
    shape: tuple[int, ...]
    turned: bool = False  # ours is the transpose

    @property
    def old(self) -> str:
        """The name of a norm's weights in checkpoints that were converted from TensorFlow."""
        leaf = self.ours.rpartition("/")[2]
        return f"{self.theirs.rpartition('.')[0]}.{leaf}" if leaf in ("gamma", "beta") else self.theirs


BLOCK = {
    "attention/query": "attention.self.query",
    "attention/key": "attention.self.key",
    "attention/value": "attention.self.value",
    "attention/output": "attention.output.dense",
    "around_attention/norm": "attention.output.LayerNorm",
    "feedforward/inner": "intermediate.dense",
    "feedforward/outer": "output.dense",
    "around_feedforward/norm": "output.LayerNorm",
}
DISTILLED_BLOCK = {
    "attention/query": "attention.q_lin",
    "attention/key": "attention.k_lin",
    "attention/value": "attention.v_lin",
    "attention/output": "attention.out_lin",
    "around_attention/norm": "sa_layer_norm",
    "feedforward/inner": "ffn.lin1",
    "feedforward/outer": "ffn.lin2",
    "around_feedforward/norm": "output_layer_norm",
}
BLOCKS = {
    "bert": ("encoder.layer", BLOCK),
    "roberta": ("encoder.layer", BLOCK),
    "distilbert": ("transformer.layer", DISTILLED_BLOCK),
}
# The masked-language head: dense, norm, and where the bias of the vocabulary stands.
MASKED_WORDS = {
    "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
    "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
    "distilbert": ("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
}
# Copies that a tied model may store once more: of what, by the names above.
WORDS = "embeddings.word_embeddings.weight"
COPIES = {
    "bert": {"cls.predictions.decoder.weight": WORDS, "cls.predictions.decoder.bias": "cls.predictions.bias"},
    "roberta": {"lm_head.decoder.weight": WORDS, "lm_head.decoder.bias": "lm_head.bias"},
    "distilbert": {"vocab_projector.weight": WORDS},
}
ORDER = "cls.seq_relationship"  # of BERT alone
# The dense layer before the classifier, and the classifier.
CLASSIFY = {
    "bert": ("", "classifier"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "distilbert": ("pre_classifier", "classifier"),
}


def weights(kind: str, config: Config, prefix: str = "") -> list[Weight]:
    """Every weight of the model that a config describes.

    Args:
        kind: "bert", "roberta" or "distilbert".
        config: with head, classes and pooler.
        prefix: of the encoder's names, such as "bert."; a bare encoder is stored without.
    """
    return [*_encoder(kind, config, prefix), *_pooler(config, prefix), *_head(kind, config)]


def others(kind: str, config: Config, prefix: str = "") -> dict[str, Weight]:
    """Weights, by their name, that pre-training leaves in a file although the model of this config has no use for them.

    They are the pooler, where nothing reads it; the head of next-sentence prediction; and, where the encoder alone is
    wanted, the masked-language head.
    """
    found: list[Weight] = []
    if config.pooler != "cls_dense" or config.head not in ("classify", "pool"):
        found += dense_weights("", f"{prefix}pooler.dense", config.width, config.width)
    if kind == "bert":
        found += dense_weights("", ORDER, config.width, 2)
    if config.head in ("none", "pool"):
        found += _masked_words(kind, config)
    return {weight.theirs: weight for weight in found}


def _encoder(kind: str, config: Config, prefix: str) -> Iterator[Weight]:
    width, positions = config.width, config.max_length + config.position_offset
    tables = [
        ("token_embedding", "word_embeddings", config.vocabulary),
        ("positions", "position_embeddings", positions),
    ]
    if config.segments:
        tables.append(("segment_embedding", "token_type_embeddings", config.segments))
    for ours, theirs, rows in tables:
        yield Weight(f"bert/{ours}/table", f"{prefix}embeddings.{theirs}.weight", (rows, width))
    yield from norm_weights("bert/embedding_norm", f"{prefix}embeddings.LayerNorm", width)
    stack, names = BLOCKS[kind]
    sizes = {"feedforward/inner": (width, config.feedforward), "feedforward/outer": (config.feedforward, width)}
    for index in range(config.layers):
        for ours, theirs in names.items():
            pair = f"bert/encoder/block_{index}/{ours}", f"{prefix}{stack}.{index}.{theirs}"
            if ours.endswith("norm"):
                yield from norm_weights(*pair, width)
            else:
                yield from dense_weights(*pair, *sizes.get(ours, (width, width)))


def _pooler(config: Config, prefix: str) -> Iterator[Weight]:
    if config.pooler == "cls_dense" and config.pools:
        yield from dense_weights("bert/pooler/dense", f"{prefix}pooler.dense", config.width, config.width)


def _head(kind: str, config: Config) -> Iterator[Weight]:
    width = config.width
    if config.head == "classify":
        hidden, output = CLASSIFY[kind]
        if hidden:
            yield from dense_weights("bert/head/hidden", hidden, width, width)
        yield from dense_weights("bert/head/output", output, width, config.classes)
    elif config.head == "tokens":
        yield from dense_weights("bert/head/output", "classifier", width, config.classes)
    elif config.head == "span":
        yield from dense_weights("bert/head/output", "qa_outputs", width, 2)
    elif config.head == "masked_words":
        yield from _masked_words(kind, config)
    if config.order:
        yield from dense_weights("bert/head/order", ORDER, width, 2)


def _masked_words(kind: str, config: Config) -> Iterator[Weight]:
    dense, norm, bias = MASKED_WORDS[kind]
    yield from dense_weights("bert/head/hidden", dense, config.width, config.width)
    yield from norm_weights("bert/head/norm", norm, config.width)
    yield Weight("bert/head/bias", bias, (config.vocabulary,))


def dense_weights(ours: str, theirs: str, inputs: int, outputs: int) -> Iterator[Weight]:
    """A dense layer."""
    yield Weight(f"{ours}/kernel", f"{theirs}.weight", (outputs, inputs), turned=True)
    yield Weight(f"{ours}/bias", f"{theirs}.bias", (outputs,))


def norm_weights(ours: str, theirs: str, width: int) -> Iterator[Weight]:
    """A normalisation."""
    yield Weight(f"{ours}/gamma", f"{theirs}.weight", (width,))
    yield Weight(f"{ours}/beta", f"{theirs}.bias", (width,))
