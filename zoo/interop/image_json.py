"""The config.json and preprocessor_config.json of image models of transformers, and ours, in both directions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.interop.config_json import ACTIVATIONS, read_labels, whole
from zoo.interop.tensors import read_json
from zoo.models.vit_config import Config
from zoo.preprocessing.image import ImageChoices

CONFIG, PIXELS = "config.json", "preprocessor_config.json"
CLASSES = {"vit": "ViT", "deit": "DeiT"}
# What follows the name of the kind -> our head and, of DeiT, whether the distillation token answers too.
HEADS = {
    "Model": ("none", False),
    "ForImageClassification": ("classify", False),
    "ForImageClassificationWithTeacher": ("classify", True),
}
SIZES = {
    "width": "hidden_size",
    "feedforward": "intermediate_size",
    "heads": "num_attention_heads",
    "layers": "num_hidden_layers",
}
RATES = {
    "epsilon": "layer_norm_eps",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
}
DEFAULTS = {"epsilon": 1e-12, "dropout": 0.0, "attention_dropout": 0.0}  # of transformers, where a key is missing
FILTERS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


@dataclass(frozen=True)
class Described:
    """What a config.json says: the kind of encoder, its class, our Config, and the names of the classes."""

    kind: str
    architecture: str
    config: Config
    labels: list[str]


def read_config(folder: Path) -> Described:
    """Translates the config.json of a folder.

    Raises: UserError naming file and key for another architecture, an option that our model does not have, or a size
        that is missing or makes no sense.
    """
    path = folder / CONFIG
    fields = read_json(path, "Give the folder that transformers saved.")
    kind = fields.get("model_type")
    if kind not in CLASSES:
        problem = "it has no model_type" if kind is None else f'the architecture "{kind}" is not one that is read'
        raise UserError(problem, where=str(path), remedy=f"Image models that are read: {', '.join(CLASSES.values())}.")
    if fields.get("qkv_bias", True) is not True:
        problem = "qkv_bias = false is not supported"
        raise UserError(problem, where=str(path), remedy="Only qkv_bias = true is.")
    architecture, (head, distilled) = _head(kind, fields, path)
    labels = _distinct(read_labels({**fields, "problem_type": "multi_label_classification"}, path, head)[0])
    height, width = _pair(fields.get("image_size"), "image_size", path)
    patch, other = _pair(fields.get("patch_size"), "patch_size", path)
    if patch != other:
        raise UserError(f"patch_size: patches of {patch} × {other} pixels are no squares", where=str(path))
    values: dict[str, Any] = {ours: whole(fields.get(theirs), theirs, path) for ours, theirs in SIZES.items()}
    values |= {ours: _number(fields.get(theirs, DEFAULTS[ours]), theirs, path) for ours, theirs in RATES.items()}
    activation = fields.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        remedy = f"Known: {', '.join(ACTIVATIONS)}."
        raise UserError(f"hidden_act = {activation!r} is not supported", where=str(path), remedy=remedy)
    try:
        config = Config(
            **values,
            image_height=height,
            image_width=width,
            patch=patch,
            channels=whole(fields.get("num_channels", 3), "num_channels", path),
            activation=ACTIVATIONS[activation],
            registers=int(kind == "deit"),
            pooling="distilled" if distilled else "class",
            head=head,
            classes=len(labels),
        )
    except UserError as error:
        key = (SIZES | RATES).get(error.where, error.where)
        raise UserError(f"{key}: {error.problem}", where=str(path), remedy=error.remedy) from None
    return Described(kind, architecture, config, labels)


def _head(kind: str, fields: dict[str, Any], path: Path) -> tuple[str, tuple[str, bool]]:
    name = str((fields.get("architectures") or [f"{CLASSES[kind]}Model"])[0])
    match = re.fullmatch(rf"{CLASSES[kind]}(\w+)", name)
    if not match or match[1] not in HEADS or (kind == "vit" and HEADS[match[1]][1]):
        remedy = f"Heads that are read: {', '.join(CLASSES[kind] + each for each in HEADS)}."
        raise UserError(f'the model "{name}" is not one that is read', where=str(path), remedy=remedy)
    return name, HEADS[match[1]]


def _distinct(names: list[str]) -> list[str]:
    """Of names that come twice (ImageNet has two cranes) the later ones carry their number."""
    counts = Counter(names)
    return [
        f"{name} ({index})" if counts[name] > 1 and name in names[:index] else name for index, name in enumerate(names)
    ]


def _number(value: Any, key: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key} must be a number, not {value!r:.40}", where=str(path))
    return float(value)


def _pair(value: Any, key: str, path: Path) -> tuple[int, int]:
    """A size: one number, two, or by the names height and width."""
    if isinstance(value, dict) and value.keys() == {"height", "width"}:
        value = [value["height"], value["width"]]
    values = value if isinstance(value, list) and len(value) == 2 else [value, value]
    return whole(values[0], key, path), whole(values[1], key, path)


def read_pixels(folder: Path, config: Config) -> ImageChoices:
    """Translates the preprocessor_config.json of a folder for a model of these sizes.

    Raises: UserError naming file and key for what our preprocessor does not do, or another size than the model's.
    """
    path = folder / PIXELS
    fields = read_json(path, "Fetch it: without it nothing says how pixels become numbers.")
    if not fields.get("do_rescale", True) or abs(fields.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-6:
        raise UserError("pixels that are not divided by 255 are not supported", where=str(path))
    if not fields.get("do_resize", True):
        raise UserError("do_resize = false is not supported", where=str(path), remedy="A model takes one size.")
    if (filter := fields.get("resample", 2)) not in FILTERS:
        remedy = "Known: 2 (bilinear), 3 (bicubic)."
        raise UserError(f"resample = {filter!r} is not supported", where=str(path), remedy=remedy)
    fit, share = _fitted(fields, config, path)
    mean, deviation = [0.0], [1.0]
    if fields.get("do_normalize", True):
        mean, deviation = fields.get("image_mean", [0.5]), fields.get("image_std", [0.5])
    return ImageChoices(
        height=config.image_height,
        width=config.image_width,
        channels=config.channels,
        fit=fit,
        crop_share=share,
        interpolation=FILTERS[filter],
        mean=tuple(map(float, mean)),
        deviation=tuple(map(float, deviation)),
    )


def _fitted(fields: dict[str, Any], config: Config, path: Path) -> tuple[str, float]:
    """Our fit and crop_share."""
    size, seen = fields.get("size", 224), (config.image_height, config.image_width)
    shortest = size.get("shortest_edge") if isinstance(size, dict) else None
    cropped = bool(fields.get("do_center_crop", False))
    kept = _pair(fields.get("crop_size", 224), "crop_size", path) if cropped else seen
    whole_size = _pair(shortest if shortest is not None else size, "size", path)
    share = kept[0] / whole_size[0]
    if kept != seen or (not cropped and (whole_size != seen or shortest is not None)):
        problem = f"images end as another size than the model's {seen[0]} × {seen[1]}"
        raise UserError(problem, where=str(path))
    if share > 1 or abs(kept[1] / whole_size[1] - share) > 1e-9:
        raise UserError("the crop is not the same share of both sides", where=str(path))
    return "stretch" if shortest is None else "crop", share


def made_config(config: Config, labels: Sequence[str]) -> dict[str, Any]:
    """The config.json by which transformers builds our model.

    Raises: UserError naming the field of our Config that transformers has no place for.
    """
    distilled = config.pooling == "distilled"
    kind = "deit" if config.registers else "vit"
    suffix = next(name for name, head in HEADS.items() if head == (config.head, distilled and config.head != "none"))
    fields: dict[str, Any] = {"model_type": kind, "architectures": [CLASSES[kind] + suffix]}
    fields |= {theirs: getattr(config, ours) for ours, theirs in (SIZES | RATES).items()}
    fields |= {"image_size": [config.image_height, config.image_width], "num_channels": config.channels}
    if config.image_height == config.image_width:
        fields["image_size"] = config.image_height
    fields |= {"patch_size": config.patch, "qkv_bias": True}
    fields["hidden_act"] = {ours: theirs for theirs, ours in ACTIVATIONS.items()}[config.activation]
    if config.head == "classify":
        fields["id2label"] = {str(index): name for index, name in enumerate(labels)}
        fields["label2id"] = {name: index for index, name in enumerate(labels)}
    default = Config()
    wanted = {
        "stem": ("patch",),
        "positions": ("learned",),
        "pooling": ("class", "distilled"),
        "registers": (0, 1),
        "layer_scale": (default.layer_scale,),
        "qk_norm": (default.qk_norm,),
    }
    for name, possible in wanted.items():
        if (value := getattr(config, name)) not in possible:
            problem = f"{name} = {value!r} has no place in a {fields['architectures'][0]} of transformers"
            raise UserError(problem, where=f"[model] {name}", remedy=f"There it is {possible[0]!r}.")
    return fields


def made_pixels(choices: ImageChoices) -> dict[str, Any]:
    """The preprocessor_config.json that does what our preprocessor does.

    Raises: UserError for a fit that transformers' processors of these models do not know.
    """
    if choices.fit == "pad":
        problem = 'fit = "pad" has no place in an image processor of transformers'
        raise UserError(problem, where="[preprocessing] fit")
    height, width = (round(side / choices.crop_share) for side in (choices.height, choices.width))
    if choices.fit == "crop" and height != width:
        problem = 'fit = "crop" to sides that differ has no place in an image processor of transformers'
        raise UserError(problem, where="[preprocessing] fit")
    crops = choices.fit == "crop" or choices.crop_share < 1
    fields: dict[str, Any] = {"image_processor_type": "DeiTImageProcessor" if crops else "ViTImageProcessor"}
    fields |= {"do_resize": True, "size": {"height": height, "width": width}}
    if choices.fit == "crop":
        fields["size"] = {"shortest_edge": height}
    if crops:
        fields |= {"do_center_crop": True, "crop_size": {"height": choices.height, "width": choices.width}}
    fields |= {"resample": {ours: number for number, ours in FILTERS.items()}[choices.interpolation]}
    fields |= {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    repeat = choices.channels if len(choices.mean) == 1 else 1
    return fields | {"image_mean": list(choices.mean) * repeat, "image_std": list(choices.deviation) * repeat}
