"""Sizes and rates of Vit. Apart from the model, so that recipes are read and --help answers without Keras."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zoo.errors import UserError
from zoo.models.checks import check_fields
from zoo.recipe import option


@dataclass(frozen=True)
class Config:
    """Everything that decides the shape and the behaviour of an encoder of images."""

    image_height: int = option(224, "pixels, Y; a multiple of the patch", low=1)
    image_width: int = option(224, "pixels, X; a multiple of the patch", low=1)
    channels: int = option(3, "of the images: 3 colours, or 1", low=1)
    patch: int = option(16, "pixels on each side of what becomes one token", low=1)
    stem: str = option(
        "patch", "from pixels to tokens: patch (cut and projected), conv (convolutions)", choices=("patch", "conv")
    )
    stem_layers: int = option(
        0,
        "convolutions of the stem conv, each with a pooling of stride 2: the patch is 2 ** layers, or 4 ** layers, "
        "where the convolutions have a stride of 2 as well",
        low=0,
    )
    stem_kernel: int = option(3, "pixels on each side of a convolution of the stem; odd", low=1)
    stem_width: int = option(64, "outputs of each convolution of the stem but the last, which has the width", low=1)
    width: int = option(768, "D, the width of every block", low=1)
    feedforward: int = option(3072, "F, the inner width of the feed-forward network", low=1)
    heads: int = option(12, "attention heads; must divide the width", low=1)
    layers: int = option(12, "blocks of the encoder", low=1)
    activation: str = option(
        "gelu",
        "of the feed-forward network: gelu (exact), gelu_tanh (approximated), relu",
        choices=("gelu", "gelu_tanh", "relu"),
    )
    epsilon: float = option(1e-6, "added to the variance in layer normalisation", low=0.0, high=0.1)
    positions: str = option(
        "learned", "how places are told: learned, sine (fixed, of rows and columns)", choices=("learned", "sine")
    )
    registers: int = option(0, "learned tokens beside the patches, for the model's own use", low=0)
    layer_scale: float = option(
        0.0, "first value of the learned scales of what each part adds; 0: there are none", low=0.0, high=1.0
    )
    qk_norm: bool = option(False, "normalise queries and keys, which steadies training at high rates")
    dropout: float = option(0.0, "on embeddings, the output of every part, and before the head", low=0.0, high=0.95)
    attention_dropout: float = option(0.0, "on attention weights; above 0 the plain product runs", low=0.0, high=0.95)
    drop_path: float = option(0.0, "stochastic depth of the last block", low=0.0, high=0.95)
    patch_dropout: float = option(0.0, "share of the patches of an image not seen in training", low=0.0, high=0.95)
    pooling: str = option(
        "class",
        "one vector of an image: class (of a class token), distilled (of a class token and of the first register, side "
        "by side, as DeiT has it), mean (of the patches), attention (of a learned query), sequence (a weighted mean)",
        choices=("class", "distilled", "mean", "attention", "sequence"),
    )
    head: str = option("none", "what stands above the encoder; tasks set it", choices=("none", "classify"))
    classes: int = option(0, "outputs of the head classify; 0: taken from the labels", low=0)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % self.heads:
            raise UserError(f"{self.heads} heads do not divide the width {self.width}", where="heads")
        for name in ("image_height", "image_width"):
            if (size := getattr(self, name)) % self.patch:
                below, above = size // self.patch * self.patch, (size // self.patch + 1) * self.patch
                known = f"{below} or {above}" if below else above
                problem = f"patches of {self.patch} pixels do not divide {size} pixels"
                raise UserError(problem, where=name, remedy=f"The nearest that they divide: {known}.")
        if self.positions == "sine" and (self.width % 4 or self.width < 8):
            problem = f"sine positions need a width that is a multiple of 4, at least 8, not {self.width}"
            raise UserError(problem, where="width")
        if self.pooling == "distilled" and not self.registers:
            problem = 'the pooling "distilled" reads a register, and there is none'
            raise UserError(problem, where="registers", remedy="Set registers to 1.")
        if self.classes and self.head != "classify":
            problem = f'the head "{self.head}" has no classes'
            raise UserError(problem, where="classes", remedy="Leave it at 0, or set head to classify.")
        self._check_stem()

    def _check_stem(self) -> None:
        if self.stem == "patch":
            if self.stem_layers:
                problem = 'the stem "patch" has no layers'
                raise UserError(problem, where="stem_layers", remedy="Leave it at 0, or set stem to conv.")
            return
        if not self.stem_layers:
            raise UserError('the stem "conv" needs at least 1 layer', where="stem_layers")
        if self.patch not in (2**self.stem_layers, 4**self.stem_layers):
            problem = f"{self.stem_layers} layers of the stem do not make patches of {self.patch} pixels"
            remedy = f"They make {2**self.stem_layers} or, with strides, {4**self.stem_layers}."
            raise UserError(problem, where="patch", remedy=remedy)
        if self.stem_kernel % 2 == 0:
            raise UserError(f"a kernel of {self.stem_kernel} pixels has no middle", where="stem_kernel")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.image_height // self.patch, self.image_width // self.patch

    @property
    def patches(self) -> int:
        """P, the number of patches of an image."""
        return self.grid[0] * self.grid[1]

    @property
    def leading(self) -> int:
        """Tokens before those of the patches: the class token, if any, and the registers."""
        return (self.pooling in ("class", "distilled")) + self.registers

    @property
    def pooled_width(self) -> int:
        """Of the vector of an image, which the head takes."""
        return self.width * 2 if self.pooling == "distilled" else self.width

    @property
    def stem_stride(self) -> int:
        """Of each convolution of the stem conv."""
        return 1 if self.patch == 2**self.stem_layers else 2


# Hassani et al., 2021, table 1 (CCT-L/KxS: L blocks, a kernel of K, S convolutions), for images of 32 × 32 pixels.
_COMPACT = Config(
    image_height=32,
    image_width=32,
    patch=2,
    stem="conv",
    stem_layers=1,
    width=256,
    feedforward=512,
    heads=4,
    layers=7,
    attention_dropout=0.1,
    drop_path=0.1,
    pooling="sequence",
)
_SMALLER = replace(_COMPACT, patch=4, stem_layers=2, width=128, feedforward=128, heads=2, layers=2)

PRESETS = {
    # Dosovitskiy et al., 2020, table 1; Touvron et al., 2020 (DeiT), table 1; Steiner et al., 2021 (arXiv 2106.10270).
    "ti": Config(width=192, feedforward=768, heads=3),
    "s": Config(width=384, feedforward=1536, heads=6),
    "b": Config(),
    "l": Config(width=1024, feedforward=4096, heads=16, layers=24),
    "cct_2_3x2": _SMALLER,
    "cct_4_3x2": replace(_SMALLER, layers=4),
    "cct_6_3x1": replace(_COMPACT, layers=6),
    "cct_7_3x1": _COMPACT,
    "cct_7_3x2": replace(_COMPACT, patch=4, stem_layers=2),
    "debug": Config(image_height=8, image_width=8, patch=4, width=32, feedforward=64, heads=2, layers=2, dropout=0.1),
}
