"""The one training loop, for every family and backend.

Why not `keras.Model.fit`: over data of unknown length it runs and counts an aborted step each epoch, it loses the place
in the data on a resume, and under tf.distribute it leaves the path of one device. Keras callbacks serve as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.progress import Progress, track

NO_MEANS = ("count", "tokens", "gradient_norm")
LOG_EVERY = 1.0  # seconds between readings of the device's sums: reading waits for the device


def means(sums: Mapping[str, float]) -> dict[str, float]:
    """What an objective reports, as means over what it counted; see `zoo.training.objective`."""
    counts = {name.removesuffix("_count"): value for name, value in sums.items() if name.endswith("_count")}
    told = [name for name in sums if name not in NO_MEANS and not name.endswith("_count")]
    return {name: sums[name] / max(counts.get(name, sums["count"]), 1.0) for name in told}


class Meter:
    """Sums of the updates since it was emptied, read from the device seldom."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begins anew."""
        self.pending: list[dict[str, Any]] = []
        self.sums: dict[str, float] = {}
        self.updates = 0
        self.started = time.monotonic()

    def add(self, sums: dict[str, Any]) -> None:
        """Notes the sums of one update, without waiting for them."""
        self.pending.append(sums)
        self.updates += 1

    def read(self) -> dict[str, float]:
        """Means over what was counted: loss, gradient_norm (over updates), and items a second (real tokens, say)."""
        for sums in self.pending:
            for name, value in sums.items():
                self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.pending = []
        if not self.sums:
            return {}
        seconds = max(time.monotonic() - self.started, 1e-9)
        items = "tokens" if "tokens" in self.sums else "count"
        found = means(self.sums)
        found["gradient_norm"] = self.sums["gradient_norm"] / self.updates
        found[f"{items}_per_second"] = self.sums[items] / seconds
        return found


def train(
    step: Any,
    updates: Iterator[tuple[int, list[dict[str, np.ndarray]]]],
    *,
    first: int,
    last: int,
    every: int,
    rate: Callable[[int], Any],
    pause: Callable[[int, dict[str, float]], dict[str, float] | None],
    interrupted: Callable[[int], None],
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Runs updates `first` to `last` - 1.

    Args:
        step: one of the Step classes; called with the batches of an update.
        updates: (number, batches), beginning with number `first`.
        every: updates between pauses; there is one after the last update too.
        rate: the schedule: updates done -> learning rate, shown to the user.
        pause: (updates done, means since the last pause) -> further logs, for evaluation and checkpoints. None ends
            the training.
        interrupted: told the number of updates done when the user stops the training (Ctrl-C), before the interrupt
            goes on.
        callbacks: Keras callbacks. To them a batch is an update and an epoch the stretch between two pauses; logs of a
            batch are the means that were read last. `model.stop_training` is heeded at the next pause.
    """
    chain = keras.callbacks.CallbackList(list(callbacks), model=step.model, epochs=-(-last // every), steps=every)
    step.model.stop_training = False
    chain.on_train_begin()
    meter, done, shown, logs = Meter(), first, time.monotonic(), {}
    try:
        with track("training", total=last, unit="updates") as progress:
            progress.skip(first)
            _begin_epoch(chain, done, every)
            for number, batches in updates:
                if number >= last:
                    break
                chain.on_train_batch_begin(number)
                meter.add(step(batches))
                done = number + 1
                if time.monotonic() - shown > LOG_EVERY:
                    logs, shown = meter.read(), time.monotonic()
                    _show(progress, float(rate(number)), logs)
                chain.on_train_batch_end(number, logs)
                progress.advance()
                if done % every and done < last:
                    continue
                logs = meter.read()
                more = pause(done, logs)
                chain.on_epoch_end((done - 1) // every, {**logs, **(more or {})})
                if more is None or step.model.stop_training or done >= last:
                    break
                _begin_epoch(chain, done, every)
                meter.clear()
    except KeyboardInterrupt:
        interrupted(done)
        raise
    chain.on_train_end(logs)


def _begin_epoch(chain: keras.callbacks.CallbackList, done: int, every: int) -> None:
    chain.on_epoch_begin(done // every)


def _show(progress: Progress, rate: float, logs: dict[str, float]) -> None:
    speed = next((f"{v:,.0f} {k.removesuffix('_per_second')}/s" for k, v in logs.items() if k.endswith("_per_second")))
    progress.show(loss=round(logs["loss"], 3), rate=f"{rate:.2e}", speed=speed)
