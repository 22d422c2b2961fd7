"""The config.json of transformers and our Config of the family "bert", in both directions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.interop.tensors import read_json
from zoo.models.bert_config import Config

# Our field -> their key.
LIKE_BERT = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "feedforward": "intermediate_size",
    "heads": "num_attention_heads",
    "layers": "num_hidden_layers",
    "max_length": "max_position_embeddings",
    "segments": "type_vocab_size",
    "activation": "hidden_act",
    "epsilon": "layer_norm_eps",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
}
KEYS = {
    "bert": LIKE_BERT,
    "roberta": LIKE_BERT,
    "distilbert": {
        "vocabulary": "vocab_size",
        "width": "dim",
        "feedforward": "hidden_dim",
        "heads": "n_heads",
        "layers": "n_layers",
        "max_length": "max_position_embeddings",
        "activation": "activation",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
    },
}
# What a config may leave out has transformers' defaults; sizes may not.
DEFAULTS = {"segments": 2, "activation": "gelu", "epsilon": 1e-12, "dropout": 0.1, "attention_dropout": 0.1}
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
CLASSES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
HEADS = {
    "Model": "pool",
    "ForMaskedLM": "masked_words",
    "ForPreTraining": "masked_words",
    "ForSequenceClassification": "classify",
    "ForTokenClassification": "tokens",
    "ForQuestionAnswering": "span",
}
# Options that change what the weights mean, and the only values that our model has.
ONLY: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}
ENCODERS = "BERT, RoBERTa and DistilBERT are read."


@dataclass(frozen=True)
class Described:
    """What a config.json says: the kind of encoder, its class, our Config, and what the outputs mean."""

    kind: str
    architecture: str
    config: Config
    labels: list[str]
    problem: str  # of a classifier: "regression", "single_label_classification", "multi_label_classification"


def read_config(folder: Path) -> Described:
    """Translates the config.json of a folder; see `translate`."""
    path = folder / "config.json"
    return translate(read_json(path, "Give the folder that transformers or sentence-transformers saved."), path)


def translate(fields: dict[str, Any], path: Path) -> Described:
    """What the fields of a config.json, read from `path`, mean.

    Raises: UserError naming file and key for another architecture, an option that our model does not have, or a
        size that is missing or makes no sense.
    """
    kind = fields.get("model_type")
    if kind not in KEYS:
        problem = "it has no model_type" if kind is None else f'the architecture "{kind}" is not one that is read'
        raise UserError(problem, where=str(path), remedy=ENCODERS)
    for key, allowed in ONLY.items():
        if fields.get(key) not in allowed:
            problem = f"{key} = {fields[key]!r:.60} is not supported"
            raise UserError(problem, where=str(path), remedy=f"Only {key} = {allowed[0]!r} is.")
    architecture, head = _head(kind, fields, path)
    labels, problem = read_labels(fields, path, head)
    values = {ours: _value(fields, ours, theirs, path) for ours, theirs in KEYS[kind].items()}
    values |= {"segments": values.get("segments", 0), "head": head, "classes": len(labels)}
    if kind != "distilbert" and not values["segments"]:
        raise UserError(f"a {kind} without segments (type_vocab_size = 0) is not supported", where=str(path))
    if kind == "roberta":  # positions are counted from behind the id of padding
        offset = whole(fields.get("pad_token_id", 1), "pad_token_id", path) + 1
        values |= {"max_length": values["max_length"] - offset, "position_offset": offset}
    if head == "masked_words" and kind == "roberta" and values["activation"] != "gelu":
        raise UserError(f"hidden_act is not gelu, which the head of {architecture} always has", where=str(path))
    if head == "classify":
        values |= _classifier(kind)
    try:
        config = Config(**values)
    except UserError as error:
        key = KEYS[kind].get(error.where, error.where)
        raise UserError(f"{key}: {error.problem}", where=str(path), remedy=error.remedy) from None
    return Described(kind, architecture, config, labels, problem)


def _classifier(kind: str) -> dict[str, Any]:
    """What stands between the hidden state of [CLS] and the classifier."""
    if kind == "bert":
        return {"pooler": "cls_dense"}
    return {"pooler": "cls", "head_hidden": {"roberta": "tanh", "distilbert": "relu"}[kind]}


def _value(fields: dict[str, Any], ours: str, theirs: str, path: Path) -> Any:
    value = fields.get(theirs, DEFAULTS.get(ours))
    if ours == "activation":
        if value not in ACTIVATIONS:
            raise UserError(
                f"{theirs} = {value!r} is not supported", where=str(path), remedy=f"Known: {', '.join(ACTIVATIONS)}."
            )
        return ACTIVATIONS[value]
    if ours in ("epsilon", "dropout", "attention_dropout"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{theirs} must be a number, not {value!r:.40}", where=str(path))
        return float(value)
    return whole(value, theirs, path)


def whole(value: Any, key: str, path: Path) -> int:
    """A whole number of a config.json. Raises: UserError where it is missing or none."""
    if isinstance(value, bool) or not isinstance(value, int):
        problem = f"it has no {key}" if value is None else f"{key} must be a whole number, not {value!r:.40}"
        raise UserError(problem, where=str(path))
    return value


def _head(kind: str, fields: dict[str, Any], path: Path) -> tuple[str, str]:
    """The class that was saved, and our head."""
    named = fields.get("architectures") or [f"{CLASSES[kind]}Model"]  # a bare config means a bare encoder
    match = re.fullmatch(rf"{CLASSES[kind]}(Model|For\w+)", str(named[0]))
    if not match or match[1] not in HEADS:
        remedy = f"Heads that are read: {', '.join(CLASSES[kind] + name for name in HEADS)}."
        raise UserError(f'the model "{named[0]}" is not one that is read', where=str(path), remedy=remedy)
    return match[0], HEADS[match[1]]


def read_labels(fields: dict[str, Any], path: Path, head: str) -> tuple[list[str], str]:
    """The names of the outputs in their order and the kind of problem, of a head that has any.

    Raises: UserError for names that do not count the outputs, or a problem that is not known.
    """
    if head not in ("classify", "tokens"):
        return [], ""
    named = fields.get("id2label")
    if named is None:
        names = [f"LABEL_{index}" for index in range(whole(fields.get("num_labels", 2), "num_labels", path))]
    else:
        expected = [str(index) for index in range(len(named))] if isinstance(named, dict) else None
        if not expected or sorted(named, key=lambda each: (len(each), each)) != expected:
            raise UserError('id2label must name the outputs "0", "1", … in a row', where=str(path))
        names = [str(named[index]) for index in expected]
    if head == "tokens":
        return names, ""
    problem = fields.get("problem_type") or ("regression" if len(names) == 1 else "single_label_classification")
    if problem not in ("regression", "single_label_classification", "multi_label_classification"):
        raise UserError(f'problem_type = "{problem}" is not known', where=str(path))
    if problem != "multi_label_classification" and (problem == "regression") != (len(names) == 1):
        raise UserError(f"{problem} with {len(names)} outputs is not supported", where=str(path))
    return names, problem


def kind_of(config: Config) -> str:
    """Which of their encoders ours is: "bert", "roberta" or "distilbert"."""
    return "roberta" if config.position_offset else "bert" if config.segments else "distilbert"


def made_config(config: Config, labels: Sequence[str], problem: str, pad_id: int) -> dict[str, Any]:
    """The config.json by which transformers builds our model.

    Args:
        labels: names of the outputs of a head that classifies.
        problem: of a classifier; empty: one label, or a regression where there is but one output.
        pad_id: the id of padding.

    Raises: UserError naming the field of our Config that transformers has no place for.
    """
    kind = kind_of(config)
    suffix = {head: suffix for suffix, head in reversed(HEADS.items())}[
        "pool" if config.head == "none" else config.head
    ]
    if config.order:
        if kind != "bert" or config.pooler != "cls_dense":
            problem = f"a {kind} with the pooler {config.pooler} has no head for the order of segments in transformers"
            raise UserError(problem, where="[model] order")
        suffix = "ForPreTraining"
    fields: dict[str, Any] = {"model_type": kind, "architectures": [CLASSES[kind] + suffix], "pad_token_id": pad_id}
    fields |= {theirs: getattr(config, ours) for ours, theirs in KEYS[kind].items()}
    fields["max_position_embeddings"] += config.position_offset
    fields[KEYS[kind]["activation"]] = {ours: theirs for theirs, ours in ACTIVATIONS.items()}[config.activation]
    if config.head in ("classify", "tokens"):
        fields["id2label"] = {str(index): name for index, name in enumerate(labels)}
        fields["label2id"] = {name: index for index, name in enumerate(labels)}
    if config.head == "classify":
        fields["problem_type"] = problem or ("regression" if config.classes == 1 else "single_label_classification")
    back = translate(fields, Path("config.json")).config
    # Without a head, and with one that pools, transformers has the bare encoder; of ForPreTraining the words are read.
    free = ("head", "pooler") if config.head in ("none", "pool") else ("order",)
    for name, value in asdict(config).items():
        if name not in free and getattr(back, name) != value:
            problem = f"{name} = {value!r} has no place in a {fields['architectures'][0]} of transformers"
            raise UserError(problem, where=f"[model] {name}", remedy=f"There it is {getattr(back, name)!r}.")
    return fields
