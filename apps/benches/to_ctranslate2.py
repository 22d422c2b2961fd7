"""A Seq2Seq model as CTranslate2 reads it: the same weights in the peer's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.layers.block import BlockConfig
from zoo.layers.positions import sinusoidal_table
from zoo.models.seq2seq import Config

Weights = Mapping[str, np.ndarray]


def convert(weights: Weights, config: Config, source: list[str], target: list[str], folder: Path) -> None:
    """Writes a model folder of CTranslate2, in float32.

    Args:
        weights: of a Seq2Seq by variable path.
        config: of that model.
        source, target: the pieces of both vocabularies by id; missing ones at the end are made up.
        folder: does not exist yet.
    """
    from ctranslate2.specs import common_spec, transformer_spec

    activations = {"relu": "RELU", "gelu": "GELU", "silu": "SWISH"}
    spec = transformer_spec.TransformerSpec.from_config(
        (config.encoder_layers, config.decoder_layers),
        config.heads,
        pre_norm=config.norm == "pre",
        activation=common_spec.Activation[activations[config.activation]],
    )
    given = {path.partition("/")[2]: np.ascontiguousarray(value, "float32") for path, value in weights.items()}
    for side, layers in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        for index, layer in enumerate(layers.layer):
            _fill_layer(layer, given, f"{side}/block_{index}")
        if config.norm == "pre":
            _fill_norm(layers.layer_norm, given, side)
    _fill_embeddings(spec, given, config)
    spec.config.add_source_eos = True
    spec.config.layer_norm_epsilon = BlockConfig.epsilon
    spec.register_source_vocabulary(_padded(source, config.source_vocabulary))
    spec.register_target_vocabulary(_padded(target, config.target_vocabulary))
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True)
    spec.save(str(folder))


def _fill_layer(layer: Any, given: Weights, path: str) -> None:
    attention = layer.self_attention
    _fill_dense(attention.linear[0], given, *(f"{path}/attention/{part}" for part in ("query", "key", "value")))
    _fill_dense(attention.linear[1], given, f"{path}/attention/output")
    _fill_norm(attention.layer_norm, given, f"{path}/around_attention")
    if hasattr(layer, "attention"):
        _fill_dense(layer.attention.linear[0], given, f"{path}/cross/query")
        _fill_dense(layer.attention.linear[1], given, f"{path}/cross/key", f"{path}/cross/value")
        _fill_dense(layer.attention.linear[2], given, f"{path}/cross/output")
        _fill_norm(layer.attention.layer_norm, given, f"{path}/around_cross")
    _fill_dense(layer.ffn.linear_0, given, f"{path}/feedforward/inner")
    _fill_dense(layer.ffn.linear_1, given, f"{path}/feedforward/outer")
    _fill_norm(layer.ffn.layer_norm, given, f"{path}/around_feedforward")


def _fill_dense(spec: Any, given: Weights, *paths: str) -> None:
    spec.weight = np.ascontiguousarray(np.concatenate([given[f"{path}/kernel"] for path in paths], axis=1).T)
    spec.bias = np.concatenate([given[f"{path}/bias"] for path in paths])


def _fill_norm(spec: Any, given: Weights, path: str) -> None:
    spec.gamma, spec.beta = given[f"{path}/norm/gamma"], given[f"{path}/norm/beta"]


def _fill_embeddings(spec: Any, given: Weights, config: Config) -> None:
    target = given["target_embedding/table"]
    spec.encoder.embeddings[0].weight = given.get("source_embedding/table", target)
    spec.decoder.embeddings.weight = target
    spec.decoder.projection.weight = given.get("output_embedding/table", target)
    table = sinusoidal_table(config.max_length, config.width)
    for side, layers in (("source", spec.encoder), ("target", spec.decoder)):
        layers.position_encodings.encodings = given.get(f"{side}_positions/table", table)


def _padded(pieces: list[str], size: int) -> list[str]:
    return [*pieces, *(f"<more_{number}>" for number in range(len(pieces), size))]
