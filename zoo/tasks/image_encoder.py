"""What all tasks over images share: encoded image files in, one vision transformer, a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.data.choices import DataChoices
from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.preprocessing.augment import Augment, AugmentChoices
from zoo.preprocessing.image import Image, ImageChoices
from zoo.recipe import Recipe, Schema, option
from zoo.tasks.compiled import compiled
from zoo.tasks.model_section import model_section
from zoo.tasks.starting import check_alike, check_head, encoder, take
from zoo.tasks.task import OwnPlan, Task, make
from zoo.tasks.text_encoder import Export
from zoo.training.fine_tuning import FineTuning, frozen_blocks

ROWS = 32  # of a batch in `predict`
# What a model may have for itself, by what is in the paths of its variables.
OWN = {"/pooler/": "pooler", "/head/": "head", "/lora_kernel_": "low-rank additions"}
# What two encoders may differ in and yet share their weights; of images of another size positions are resampled.
FREE = (
    *("image_height", "image_width", "dropout", "attention_dropout", "drop_path", "patch_dropout"),
    *("pooling", "head", "classes"),
)
DRAWN = "draw"  # of a row that was transformed: a number that decides what its whole batch draws


@dataclass(frozen=True)
class Data(DataChoices):
    """Images."""

    broken: str = option(
        "refuse", "an image that cannot be read: refuse the data, or skip it and count it", choices=("refuse", "skip")
    )


class ImageEncoder(Task):
    """Base of the tasks over an encoder of the family "vit".

    A task gives `head`, its columns, `targets`, `pad_targets`, `objective` and the way back from the outputs. Images
    are prepared as the bytes that their files hold, and decoded each time a row is drawn.
    """

    families = ("vit",)
    own = OwnPlan(
        epochs=30,
        alone={
            "preprocessing": {"height": 64, "width": 64},
            "model": {"preset": "cct_7_3x2"},
            "training": {"peak_rate": 1e-3, "schedule": "cosine"},
        },
    )
    head: ClassVar[str]
    data: ClassVar[type] = Data
    augmentation: ClassVar[type] = AugmentChoices
    training: ClassVar[type] = FineTuning

    @classmethod
    def schema(cls) -> Schema:
        return {
            "data": cls.data,
            "preprocessing": ImageChoices,
            "augmentation": cls.augmentation,
            "model": model_section(cls.families),
            "training": cls.training,
            "export": Export,
        }

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.preprocessors["image"] = Image(recipe.preprocessing)

    # What a task says.

    @abstractmethod
    def targets(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of an example as arrays, fields of its row."""

    @abstractmethod
    def pad_targets(self, rows: Sequence[Mapping[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """The targets of a batch, padded to its shape."""

    def sizes(self) -> dict[str, Any]:
        """Fields of the family's Config that the task decides."""
        return {"head": self.head}

    # Preprocessing.

    @property
    def image(self) -> Image:
        """Bytes to pixels."""
        return self.preprocessors["image"]

    def save(self, folder: Path) -> None:
        for name, preprocessor in self.preprocessors.items():
            preprocessor.save(folder / name)

    def load(self, folder: Path) -> None:
        self.preprocessors["image"] = Image.load(folder / "image")

    @property
    def fingerprint(self) -> str:
        # Prepared are the files' own bytes: how they are decoded later does not matter.
        others = (each.fingerprint for name, each in self.preprocessors.items() if name != "image")
        limits = (self.recipe.preprocessing.most_pixels, self.recipe.data.broken, self.recipe.data.validation_share)
        return " ".join([self.name, *others, str(limits)])

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        data, targets = values["image"], self.targets(values)
        if self.recipe.data.broken == "skip":
            return {"image": data if self.reads(data) else b"", **targets}
        self.image.read(data)
        return {"image": data, **targets}

    def reads(self, data: bytes) -> bool:
        """Whether the bytes are an image that can be read."""
        try:
            self.image.read(data)
        except UserError:
            return False
        return True

    def keep(self, values: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
        return None if row["image"] else "an image that cannot be read"

    def lengths(self, row: Mapping[str, Any]) -> tuple[int, ...]:
        return (self._tokens,)

    def room(self, values: Mapping[str, Any]) -> float:
        return self._tokens

    @cached_property
    def _tokens(self) -> int:
        """T, of an image."""
        config = self._sized
        return config.leading + config.patches

    # Drawn anew each time: the pixels.

    @cached_property
    def augment(self) -> Augment:
        """What changes the images of the training."""
        return Augment(self.recipe.augmentation, self.image)

    def transform(self, row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """A training row with its pixels, uint8 [Y, X, C], and a number for what its batch draws."""
        pixels = self.augment(self.image.read(row["image"]), rng).image
        return {**row, "pixels": pixels, DRAWN: int(rng.integers(1 << 31))}

    def make_batch(self, rows: Sequence[dict[str, Any]], shape: Shape) -> dict[str, np.ndarray]:
        """images float32 [B, Y, X, C], the targets, and real bool [B]: the rows that are there."""
        size = self.recipe.preprocessing
        images = np.zeros((shape.rows, size.height, size.width, size.channels), np.float32)
        for index, row in enumerate(rows):
            pixels = row["pixels"] if "pixels" in row else self.image.encode(row["image"])[0]
            images[index] = self.image.normalise(pixels)
        return {"images": images, **self.pad_targets(rows, shape), "real": np.arange(shape.rows) < len(rows)}

    # The model.

    @property
    def config(self) -> Any:
        """The family's Config for the images that are read.

        Raises: UserError where [model] does not go with the task or with the size of the images.
        """
        config = self._sized
        check_head(config, self.head, self.name)
        return replace(config, **self.sizes())

    @property
    def _sized(self) -> Any:
        """The family's Config with the size of the images, and without what a task decides."""
        size, config = self.recipe.preprocessing, self.recipe.model.config
        images = {"image_height": size.height, "image_width": size.width, "channels": size.channels}
        changed = self.recipe.model.to_fields()
        for name, value in images.items():
            if changed.get(name, value) != value:
                problem = f"it is {changed[name]}, and the images that are read have {value}"
                raise UserError(problem, where=f"[model] {name}", remedy="Leave it out: [preprocessing] decides it.")
        return replace(config, **images)

    def check(self) -> None:
        """Raises: UserError as `config`, and for a freeze of more blocks than there are."""
        frozen_blocks(self.recipe.training.freeze, self.config.layers, True)

    def build_model(self, seed: int) -> Any:
        return encoder(self.recipe, self.config, seed)

    def start_from(self, model: Any, start: Any) -> list[str]:
        """Takes the encoder, positions resampled for another size of images; pooler and head where they fit."""
        from zoo.layers.adapters import merge
        from zoo.models.vit import at_size
        from zoo.training.checkpoints import weights

        other = make(start.recipe)
        if not isinstance(other, ImageEncoder):
            raise UserError(f'weights of the task "{other.name}" do not serve "{self.name}"', where="--from")
        other.preprocessors = dict(start.preprocessors)
        theirs, ours = other.config, self.config
        check_alike(theirs, ours, FREE)
        arrays = at_size(merge(weights(start.weights)), theirs, ours)
        alike = {"/head/": self.meaning == other.meaning, "/pooler/": theirs.pooling == ours.pooling}
        apart = [part for part, same in alike.items() if not same]
        return take(model, arrays, apart, OWN, start)

    @property
    def meaning(self) -> tuple[Any, ...]:
        """Two heads of the same meaning may have the same weights."""
        return (self.name,)

    # Answers.

    def outputs(self, model: Any, raws: Sequence[bytes]) -> list[np.ndarray]:
        """The model's float32 output for the bytes of each image.

        Raises: UserError for an image that cannot be read.
        """
        run, found = compiled(model), []
        for first in range(0, len(raws), ROWS):
            chosen = raws[first : first + ROWS]
            pixels = np.stack([self.image.encode(raw)[0] for raw in chosen])
            images = np.zeros((ROWS, *pixels.shape[1:]), np.float32)  # one shape: it is compiled once
            images[: len(chosen)] = self.image.normalise(pixels)
            found += list(run({"images": images})[: len(chosen)])
        return found

    def adopt(self, preprocessors: Mapping[str, Any], examples: Iterable[Any], progress: Any = None) -> None:
        """Takes nothing over but the order of labels, if any: size and normalisation are the recipe's."""
        self.fit(examples, progress)
