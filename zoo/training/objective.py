"""What every step minimises, and the little arithmetic that the three step files share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Objective = Callable[[Any, dict[str, Any], bool], dict[str, Any]]
"""(model, batch, training) -> float32 scalars, all of them sums: "loss"; "count", of the things it is over; and
whatever else is to be reported: a mean over "count", or for NAME over "NAME_count" where there is one. The gradient of
an update is d(sum of loss) / (sum of count), over all its micro-batches, replicas and processes."""


def average_rate(decay: float, iterations: Any) -> Any:
    """Share of the new weights in their exponential average: 1 - decay, more in the first updates.

    Without that, the average would be the initial weights for a long time. float32 scalar.
    """
    done = ops.cast(iterations, "float32")
    return 1.0 - ops.minimum(decay, (1.0 + done) / (10.0 + done))
