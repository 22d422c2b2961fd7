"""Which pieces of a text speak for a class: integrated gradients (Sundararajan et al., 2017; arXiv 1703.01365)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoo.errors import UserError
from zoo.viz.page_template import Markup, write_page

if TYPE_CHECKING:
    from zoo.models.bert import Bert

POINTS = (32, 64, 128, 256, 512)  # of the path: more are taken until the shares add up
ENOUGH = 0.01  # of the difference that they should add up to
ROWS = 32  # points that are computed together


class Importance(NamedTuple):
    """What each piece adds to the logit of a class.

    Attributes:
        shares: float32 [T]; they add up to logit - baseline, but for the error of a sum over finitely many points.
        logit: of the text.
        baseline: the logit where no piece is told, only how many there are.
    """

    shares: np.ndarray
    logit: float
    baseline: float

    @property
    def gap(self) -> float:
        """By how much the shares do not add up, as a share of the difference."""
        difference = self.logit - self.baseline
        return abs(float(self.shares.sum()) - difference) / max(abs(difference), 1e-12)


def integrated_gradients(model: Bert, inputs: Mapping[str, np.ndarray], label: int, kept: np.ndarray) -> Importance:
    """The share of every piece in a logit: gradients by the token embeddings, along the way to them from zero.

    Positions and segments are the same all the way. The integral is taken by Gauss and Legendre's rule.

    Args:
        model: with the head "classify".
        inputs: of one row: ids int32 [1, T], mask bool [1, T], segments int32 [1, T].
        label: number of the class.
        kept: bool [T], pieces that are not taken away, such as [CLS] and [SEP]; their shares are 0.

    Raises: UserError where the model is no classifier, has no such class, or the backend has no gradients here.
    """
    from keras import ops

    if model.config.head != "classify":
        raise UserError(f'importance is that of a class, and the head of this model is "{model.config.head}"')
    if not 0 <= label < model.config.classes:
        raise UserError(f"there is no class {label}: they are 0 to {model.config.classes - 1}", where="label")
    gradient = _gradient()
    ids = ops.convert_to_tensor(inputs["ids"])
    whole = ops.convert_to_numpy(ops.cast(model.token_embedding(ids), "float32"))[0]  # [T, D]
    empty = np.where(np.asarray(kept, bool)[:, None], whole, np.float32(0))

    def total(vectors: Any) -> Any:
        return ops.sum(_logits(model, inputs, vectors)[:, label])

    baseline, logit = ops.convert_to_numpy(_logits(model, inputs, np.stack([empty, whole])))[:, label].tolist()
    for points in POINTS:
        mean = _mean_gradient(lambda vectors: gradient(total, vectors), empty, whole, points)
        found = Importance(((whole - empty) * mean).sum(-1).astype("float32"), logit, baseline)
        if found.gap <= ENOUGH:
            break
    return found


def _mean_gradient(
    gradient: Callable[[np.ndarray], np.ndarray], start: np.ndarray, end: np.ndarray, points: int
) -> np.ndarray:
    """The mean of the gradient along the straight way from start to end, [T, D]; float64."""
    places, weights = np.polynomial.legendre.leggauss(points)  # on -1 to 1
    places, weights = (places + 1) / 2, weights / 2
    total = np.zeros(start.shape)
    for first in range(0, points, ROWS):
        some = slice(first, first + ROWS)
        vectors = start + places[some, None, None] * (end - start)
        total += np.einsum("n,ntd->td", weights[some], gradient(vectors.astype("float32")))
    return total


def _logits(model: Bert, inputs: Mapping[str, np.ndarray], vectors: Any) -> Any:
    """Logits [N, C] for N times the same row, with other token embeddings [N, T, D]."""
    from keras import ops

    vectors = ops.convert_to_tensor(vectors)
    rows = vectors.shape[0]
    repeated = {name: ops.convert_to_tensor(np.repeat(array, rows, axis=0)) for name, array in inputs.items()}
    with _reading(model.token_embedding, vectors):
        return ops.cast(model(repeated, training=False), "float32")


@contextmanager
def _reading(embedding: Any, vectors: Any) -> Iterator[None]:
    """Lets a token embedding answer these vectors, whatever the ids: the model has no other way in for them."""
    embedding.call = lambda ids: vectors
    try:
        yield
    finally:
        del embedding.call  # the method of the class is seen again


def _gradient() -> Callable[[Callable[[Any], Any], np.ndarray], np.ndarray]:
    import keras

    backend = keras.config.backend()
    module = f"zoo.viz.gradient_{backend}"
    if not find_spec(module):
        known = ", ".join(
            sorted(path.stem.removeprefix("gradient_") for path in Path(__file__).parent.glob("gradient_*"))
        )
        problem = f"gradients are not taken on the Keras backend {backend}"
        raise UserError(problem, where="KERAS_BACKEND", remedy=f"Choose by --backend: {known}.")
    return import_module(module).gradient


def write_importance_page(
    pieces: Sequence[str], importance: Importance, label: str, path: str | Path, title: str
) -> None:
    """Writes the text with its pieces coloured, by what they add to the class or take from it; one HTML file.

    Args:
        pieces: T, as the model read them.
        importance: of these pieces.
        label: name of the class.
        path: of the page.
        title: its heading.

    Raises: ValueError where the shares are not those of the pieces.
    """
    shares = importance.shares
    if len(shares) != len(pieces):
        raise ValueError(f"{len(shares)} shares are not those of {len(pieces)} pieces.")
    largest = max(float(np.abs(shares).max(initial=0.0)), 1e-12)
    items = [
        f'        <li class="{"for" if share >= 0 else "against"}" style="--weight: {abs(share) / largest:.3f}">'
        f"{escape(piece)}<small>{signed(share)}</small></li>"
        for piece, share in zip(pieces, shares.tolist(), strict=True)
    ]
    sums = (
        f"Logit of “{label}”: {importance.logit:.3f}. Without the pieces it is {importance.baseline:.3f}; "
        f"they add {signed(float(shares.sum()), 3)}."
    )
    about = (
        "Integrated gradients of the logit by the token embeddings, from zero on; a number below a piece is what it "
        f"adds (+) or takes (−). They add up to the difference but for {100 * importance.gap:.1f} % of it."
    )
    write_page("importance", path, title=title, sums=sums, about=about, pieces=Markup("\n".join(items)))


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, as text: +0.25, −0.25, 0.00."""
    text = f"{abs(value):.{digits}f}"
    return text if not float(text) else f"{'+' if value > 0 else '−'}{text}"
