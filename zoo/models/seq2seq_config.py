"""Sizes and rates of Seq2Seq. Apart from the model, so that recipes are read and --help answers without Keras."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import UserError
from zoo.models.checks import check_fields
from zoo.recipe import option


@dataclass(frozen=True)
class Config:
    """Everything that decides the shape and the behaviour of a Seq2Seq model."""

    source_vocabulary: int = option(0, "source vocabulary size; 0: taken from the preprocessor", low=0)
    target_vocabulary: int = option(0, "target vocabulary size; 0: taken from the preprocessor", low=0)
    width: int = option(512, "D, the width of every block", low=1)
    feedforward: int = option(2048, "F, the inner width of the feed-forward network", low=1)
    heads: int = option(8, "attention heads; must divide the width", low=1)
    encoder_layers: int = option(6, "blocks of the encoder", low=1)
    decoder_layers: int = option(6, "blocks of the decoder", low=1)
    activation: str = option("relu", "of the feed-forward network", choices=("relu", "gelu", "silu"))
    norm: str = option("post", "layer normalisation after (post) or before (pre) each part", choices=("post", "pre"))
    positions: str = option("sinusoidal", "how positions are told", choices=("sinusoidal", "learned"))
    max_length: int = option(256, "most positions on either side", low=2)
    tied: str = option(
        "all",
        "share embeddings: all (source, target and output), target (target and output), none",
        choices=("all", "target", "none"),
    )
    dropout: float = option(0.1, "on embeddings and on the output of every part", low=0.0, high=0.95)
    attention_dropout: float = option(0.0, "on attention weights; above 0 the plain product runs", low=0.0, high=0.95)
    activation_dropout: float = option(0.0, "inside the feed-forward network", low=0.0, high=0.95)
    drop_path: float = option(0.0, "stochastic depth of the last block", low=0.0, high=0.95)
    pad_id: int = option(0, "id of padding", low=0)
    unknown_id: int = option(1, "id of unknown pieces", low=0)
    start_id: int = option(2, "id that begins a target", low=0)
    end_id: int = option(3, "id that ends a source and a target", low=0)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % self.heads:
            raise UserError(f"{self.heads} heads do not divide the width {self.width}", where="heads")
        if self.width % 2 and self.positions == "sinusoidal":
            raise UserError(f"sinusoidal positions need an even width, not {self.width}", where="width")
        if self.tied == "all" and self.source_vocabulary != self.target_vocabulary:
            raise UserError(
                f'tied = "all" needs one vocabulary, not {self.source_vocabulary} and {self.target_vocabulary}',
                where="tied",
                remedy='set preprocessing.shared = true, or model.tied = "target".',
            )


PRESETS = {
    "debug": Config(width=32, feedforward=64, heads=2, encoder_layers=2, decoder_layers=2),
    "tiny": Config(width=128, feedforward=256, heads=4, encoder_layers=4, decoder_layers=4, dropout=0.3),
    "small": Config(width=256, feedforward=1024, heads=4, encoder_layers=4, decoder_layers=4, dropout=0.2),
    "base": Config(),
    "big": Config(width=1024, feedforward=4096, heads=16, dropout=0.3),
}
