"""Tiny encoders of the library transformers (PyTorch), and the way of their weights into ours.

Every weight is set by its own name, so that an encoder is the same below each head, today and next year.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.interop.weight_names import BLOCK, DISTILLED_BLOCK
from zoo.models.bert_config import Config

SIZES = {"vocabulary": 30, "width": 16, "feedforward": 24, "heads": 4, "layers": 2, "max_length": 12, "dropout": 0.0}
CLASSES = 5
KINDS = {
    "bert": Config(**SIZES),
    "roberta": Config(**SIZES, epsilon=1e-5, segments=1, position_offset=2, pooler="cls", head_hidden="tanh"),
    "distilbert": Config(**SIZES, segments=0, pooler="cls", head_hidden="relu"),
}
# Our head -> the name of their class behind the name of the encoder.
HEADS = {
    "none": "Model",
    "pool": "Model",
    "masked_words": "ForMaskedLM",
    "classify": "ForSequenceClassification",
    "tokens": "ForTokenClassification",
    "span": "ForQuestionAnswering",
}
PAIRS = [(kind, head) for kind in KINDS for head in HEADS if kind == "bert" or head != "pool"]

EMBEDDINGS = {
    "token_embedding": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segment_embedding": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "pooler/dense": "pooler.dense",
}
# The layers of the heads; "" is the bias of the vocabulary, which belongs to none.
ABOVE = {
    "bert": {
        "masked_words": {
            "hidden": "cls.predictions.transform.dense",
            "norm": "cls.predictions.transform.LayerNorm",
            "": "cls.predictions",
        },
        "classify": {"output": "classifier"},
    },
    "roberta": {
        "masked_words": {"hidden": "lm_head.dense", "norm": "lm_head.layer_norm", "": "lm_head"},
        "classify": {"hidden": "classifier.dense", "output": "classifier.out_proj"},
    },
    "distilbert": {
        "masked_words": {"hidden": "vocab_transform", "norm": "vocab_layer_norm", "": "vocab_projector"},
        "classify": {"hidden": "pre_classifier", "output": "classifier"},
    },
}
for heads in ABOVE.values():
    heads |= {"tokens": {"output": "classifier"}, "span": {"output": "qa_outputs"}}
LEAVES = {"kernel": "weight", "table": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}


def config(kind: str, head: str) -> Config:
    """Ours, of the same encoder."""
    return replace(KINDS[kind], head=head, classes=CLASSES if head in ("classify", "tokens") else 0)


def reference(kind: str, head: str) -> Any:
    """Theirs, not in training, with plain attention; its weights are float16 numbers held in float32."""
    import torch
    import transformers

    name, ours = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[kind], KINDS[kind]
    shared = {"vocab_size": ours.vocabulary, "num_labels": CLASSES, "attn_implementation": "eager"}
    positions = ours.max_length + ours.position_offset
    if kind == "distilbert":
        sizes = {"dim": ours.width, "hidden_dim": ours.feedforward, "n_heads": ours.heads, "n_layers": ours.layers}
    else:
        sizes = {"hidden_size": ours.width, "intermediate_size": ours.feedforward, "layer_norm_eps": ours.epsilon}
        sizes |= {"num_attention_heads": ours.heads, "num_hidden_layers": ours.layers, "type_vocab_size": ours.segments}
    if kind == "roberta":
        shared["pad_token_id"] = ours.position_offset - 1
    settings = getattr(transformers, f"{name}Config")(**shared, **sizes, max_position_embeddings=positions)
    if head == "span":
        settings.num_labels = 2
    model = getattr(transformers, name + HEADS[head])(settings).eval()
    with torch.no_grad():
        for full, weight in model.named_parameters():
            own = full.removeprefix(f"{kind}.")
            values = np.random.default_rng(zlib.crc32(own.encode())).normal(size=tuple(weight.shape)) * 0.3
            values += own.endswith("weight") and weight.ndim == 1  # scales of norms lie around 1
            weight.copy_(torch.from_numpy(values.astype("float16").astype("float32")))
    return model


def their_name(kind: str, head: str, path: str) -> str:
    """What their model with this head calls one of our weights: "bert/head/bias" -> "cls.predictions.bias"."""
    layer, _, leaf = path.removeprefix("bert/").rpartition("/")
    if layer.startswith("head"):
        return f"{ABOVE[kind][head][layer.removeprefix('head').strip('/')]}.{LEAVES[leaf]}"
    if block := re.fullmatch(r"encoder/block_(\d+)/(.+)", layer):
        stack, names = ("transformer", DISTILLED_BLOCK) if kind == "distilbert" else ("encoder", BLOCK)
        layer = f"{stack}.layer.{block[1]}.{names[block[2]]}"
    else:
        layer = EMBEDDINGS[layer]
    return f"{'' if HEADS[head] == 'Model' else kind + '.'}{layer}.{LEAVES[leaf]}"


def weights(kind: str, head: str, model: Any, paths: list[str]) -> dict[str, np.ndarray]:
    """Their weights under our paths, as ours are laid out; their dense layers are [out, in]."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    found = {path: state[their_name(kind, head, path)] for path in paths}
    return {path: value.T if path.endswith("kernel") else value for path, value in found.items()}


def inputs(kind: str) -> dict[str, np.ndarray]:
    """Three rows of different lengths; ids behind those that are special anywhere, padding as theirs is."""
    rng = np.random.default_rng(1)
    lengths = np.array([[9], [4], [7]])
    mask = np.arange(9) < lengths
    ids = np.where(mask, rng.integers(4, KINDS[kind].vocabulary, mask.shape), 1 if kind == "roberta" else 0)
    second = mask & (np.arange(9) >= lengths // 2) & (kind == "bert")
    return {"ids": ids.astype("int32"), "mask": mask, "segments": second.astype("int32")}


def outputs(kind: str, head: str, model: Any, given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What they answer, laid out as ours, and their attention weights [layers, B, H, T, T]."""
    import torch

    asked = {"input_ids": given["ids"].astype("int64"), "attention_mask": given["mask"].astype("int64")}
    if kind == "bert":
        asked["token_type_ids"] = given["segments"].astype("int64")
    with torch.no_grad():
        found = model(**{name: torch.from_numpy(value) for name, value in asked.items()}, output_attentions=True)
    if head == "span":
        answer = torch.stack([found.start_logits, found.end_logits], dim=-1)
    else:
        answer = {"none": "last_hidden_state", "pool": "pooler_output"}.get(head, "logits")
        answer = getattr(found, answer)
    return answer.numpy(), torch.stack(found.attentions).numpy()
