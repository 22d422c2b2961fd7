"""What fine-tuning chooses on top of training: which variables learn, and how fast each of them does.

A variable's depth is read from its path: 0 for embeddings, i + 1 for `…/block_i/…`, and above all blocks for what
reads them (`…/head/…`, `…/pooler/…`), where there is any of it: a mean of the last block's vectors has no variables.
The norm that closes a pre-norm encoder belongs to the last block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import UserError
from zoo.layers.paths import ABOVE, BLOCK, CLOSING
from zoo.recipe import option
from zoo.training.choices import Pace, TrainingChoices

FREEZE = ("none", "embeddings", "encoder")


@dataclass(frozen=True)
class FineTuning(TrainingChoices):
    """The [training] section of tasks that mostly begin from weights that exist."""

    schedule: str = option(
        "linear",
        "of the learning rate",
        choices=("inverse_square_root", "linear", "cosine", "constant", "warmup_stable_decay"),
    )
    peak_rate: float = option(1e-4, "highest learning rate", low=0.0, high=1.0)
    warmup: int = option(100, "updates from rate 0 to the peak", low=0)
    beta_2: float = option(0.999, "AdamW: memory of the variance", low=0.0, high=1.0)
    weight_decay: float = option(0.01, "AdamW: not on norms, biases and embeddings of positions", low=0.0)
    clip_norm: float = option(1.0, "clip gradients by their global norm; 0: not at all", low=0.0)
    freeze: str | int = option(
        "none", "what does not learn: none, embeddings, encoder, or embeddings and so many of the lowest blocks", low=0
    )
    layer_decay: float = option(
        1.0, "rate of each layer as a share of that of the layer above; the topmost, a head if any, has it full",
        low=0.0, high=1.0,
    )  # fmt: skip
    unfreeze_every: int = option(
        0, "gradual unfreezing: updates after which one more layer, from the top, begins to learn; 0: all at once",
        low=0,
    )  # fmt: skip
    lora_rank: int = option(
        0,
        "above 0: the encoder learns by low-rank additions of this rank to query and value alone; merged at the export",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.freeze, str) and self.freeze not in FREEZE:
            known = f"Known: {', '.join(FREEZE)}, or a number of blocks."
            raise UserError(f'cannot freeze "{self.freeze}"', where="freeze", remedy=known)
        if self.lora_rank and self.freeze != "none":
            raise UserError(
                "with low-rank additions the encoder is frozen anyway", where="freeze", remedy="Leave freeze out."
            )

    def paces(self, paths: Sequence[str]) -> list[Pace]:
        """Head 1, last block `layer_decay`, the one below `layer_decay` squared, …, embeddings last.

        Where nothing stands above the blocks the last of them has 1, so that something learns from the first update.

        The discriminative rates and the gradual unfreezing of Howard and Ruder, 2018 (arXiv 1801.06146). Empty where
        all learn alike.
        """
        if self.layer_decay == 1.0 and not self.unfreeze_every:
            return []
        depths = _depths(paths)
        top = max(depths)
        return [Pace(self.layer_decay ** (top - depth), self.unfreeze_every * (top - depth)) for depth in depths]


def freeze(variables: Iterable[Any], which: str | int) -> None:
    """Marks the variables of the lower layers as not trainable.

    Args:
        variables: Keras variables of a whole model.
        which: see `FineTuning.freeze`. Pooler and head always learn.

    Raises: UserError for more blocks than there are, or where nothing is left to learn.
    """
    variables = list(variables)
    depths = _depths([variable.path for variable in variables])
    above = any(ABOVE.search(variable.path) for variable in variables)
    frozen = frozen_blocks(which, max(depths) - above, above)
    for variable, depth in zip(variables, depths, strict=True):
        if depth <= frozen:
            variable.trainable = False


def frozen_blocks(which: str | int, blocks: int, above: bool) -> int:
    """How many of the lowest blocks do not learn, and the embeddings with them; -1: all learn.

    Args:
        which: see `FineTuning.freeze`.
        blocks: of the model.
        above: whether a pooler or head with variables stands above them.

    Raises: UserError for more blocks than there are, or where nothing is left to learn.
    """
    where = "[training] freeze"
    frozen = which if isinstance(which, int) else {"none": -1, "embeddings": 0, "encoder": blocks}[which]
    if frozen > blocks:
        raise UserError(
            f"{frozen} blocks are to be frozen, and the model has {blocks}", where=where,
            remedy='Say "encoder" for all of them.',
        )  # fmt: skip
    if frozen == blocks and not above:
        raise UserError(
            "all blocks are to be frozen, and nothing that learns stands above them", where=where,
            remedy=f"Freeze {blocks - 1} blocks or fewer.",
        )  # fmt: skip
    return frozen


def _depths(paths: Sequence[str]) -> list[int]:
    """The depth of each variable; what stands above the blocks has one more than the last of them."""
    blocks = [int(found[1]) + 1 if (found := BLOCK.search(path)) else 0 for path in paths]
    last = max(blocks, default=0)
    return [
        last + 1 if ABOVE.search(path) else last if CLOSING.search(path) else depth
        for path, depth in zip(paths, blocks, strict=True)
    ]
