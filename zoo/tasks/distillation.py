"""What a larger classifier, the teacher, says of the texts that a smaller one, its student, learns from.

The student learns the teacher's probabilities beside the labels (Hinton et al., 2015, arXiv 1503.02531), best from an
encoder that was pre-trained (Turc et al., 2019, arXiv 1908.08962). The two may differ in vocabulary and size, since
what they share are texts and names of labels. The teacher is asked once, before the training, so that an update costs
what it costs without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from zoo.data.tables import Example, Table
from zoo.errors import UserError, nearest
from zoo.files import whole
from zoo.progress import say, track
from zoo.tasks.task import make

TOLD = "told"  # of an example: what the teacher says, float32 [C]
AT_ONCE = 4096  # texts that the teacher is asked together: sorted by length, they are padded little
WHERE = "[training] teacher"


def softened(probabilities: np.ndarray, temperature: float, several: bool = False) -> np.ndarray:
    """Probabilities at a temperature T, softmax(logits / T), or sigmoid(logits / T) where there are several labels.

    Args:
        probabilities: [N, C], at temperature 1; the logits are their logarithms, but for what cancels.
        temperature: above 1 it shows more of what the teacher thinks of the classes that it does not choose.
        several: each class is decided for itself.

    Returns: float32 [N, C].
    """
    known = probabilities.astype(np.float64)
    powers = known ** (1.0 / temperature)
    rest = (1.0 - known) ** (1.0 / temperature) if several else powers.sum(axis=-1, keepdims=True) - powers
    return (powers / (powers + rest)).astype(np.float32)


class Teacher:
    """A trained classifier that says what it thinks of texts, in the student's order of the labels.

    Args:
        start: its recipe, preprocessors and weights (`zoo.run.Start`).
        student: the classifier that learns from it, its labels known.

    Raises: UserError where it is for another task, for other columns or for other labels.
    """

    def __init__(self, start: Any, student: Any) -> None:
        if start.recipe.task != student.name:
            raise UserError(
                f'it is of the task "{start.recipe.task}" and the student of "{student.name}"', where=WHERE,
                remedy="A teacher answers what its student is to answer.",
            )  # fmt: skip
        self.task = cast(Any, make(start.recipe))  # of the same class as the student
        self._start = start
        self.task.preprocessors = dict(start.preprocessors)
        if self.task.inputs() != student.inputs():
            read = [" and ".join(each.inputs()) for each in (self.task, student)]
            raise UserError(f"it reads {read[0]}, and the student {read[1]}", where=WHERE)
        if self.task.multi_label != student.multi_label:
            count = "several labels" if self.task.multi_label else "one label"
            raise UserError(f"it gives {count} a text, and the student does not", where=WHERE)
        theirs, ours = self.task.labels.names, student.labels.names
        for name in (*theirs, *ours):
            if name not in theirs or name not in ours:
                who, other = ("student", ours) if name in theirs else ("teacher", theirs)
                raise UserError(
                    f'the {who} does not know the label "{name}".{nearest(name, other)}', where=WHERE,
                    remedy=f"Labels of the teacher: {', '.join(theirs)}; of the student: {', '.join(ours)}.",
                )  # fmt: skip
        self._order = [theirs.index(name) for name in ours]

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of all that decides what it says: weights, preprocessors, and the order of the labels."""
        from zoo.training.checkpoints import digest, weights

        told = f"{self.task.fingerprint} {self._order} {digest(weights(self._start.weights))}"
        return hashlib.sha256(told.encode()).hexdigest()

    def probabilities(self, texts: Iterable[tuple[str, ...]], total: int | None = None) -> np.ndarray:
        """The probability of each of the student's labels for each text, or pair: float32 [N, C].

        Args:
            texts: may stream.
            total: how many there are, for the progress bar.
        """
        model = self.task.build_model(self._start.recipe.training.seed)
        self.task.start_from(model, self._start)  # which also takes weights whose low-rank additions are merged
        found, texts = [np.zeros((0, len(self._order)), np.float32)], iter(texts)
        with track("asking the teacher", total=total, unit="texts") as progress:
            while chunk := list(islice(texts, AT_ONCE)):
                found.append(self.task.probabilities(model, chunk)[:, self._order])
                progress.advance(len(chunk))
        return np.concatenate(found)


class Taught(Table):
    """Labelled examples, and after them texts without labels, each with what the teacher says of it.

    Values are those of the task and "told", float32 [C]: the softened probabilities. The label of a text that has none
    is what the teacher says (a table).

    Args:
        student: as `Teacher` has it.
        labelled, unlabelled: tables; those without labels may be none.
        teacher: whose probabilities are taken.
        folder: where they are kept; they are found there again as long as texts and teacher are the same.
        temperature: of "told".

    Raises: UserError with its place for what is no text.
    """

    def __init__(
        self,
        student: Any,
        labelled: Table,
        unlabelled: Sequence[Table],
        teacher: Teacher,
        folder: Path,
        temperature: float,
    ) -> None:
        self._student, self._tables = student, (labelled, *unlabelled)
        self.columns, self.files = labelled.columns, tuple(file for table in self._tables for file in table.files)
        texts = hashlib.sha256(teacher.fingerprint.encode())
        self.rows = 0
        for each in self._texts():
            texts.update(f"{each!r}\n".encode("utf-8", "surrogatepass"))
            self.rows += 1
        self.fingerprint = texts.hexdigest()
        self._says = self._found(folder / f"{self.fingerprint[:16]}.npy", teacher)
        self._told = softened(self._says, temperature, student.multi_label)

    def __iter__(self) -> Iterator[Example]:
        names, answer = self._student.labels.names, self._student.columns[-1]
        for example, says, told in zip(self._examples(), self._says, self._told, strict=True):
            label: Mapping[str, Any] = {answer: dict(zip(names, says.tolist(), strict=True))}
            yield Example({**label, **example.values, TOLD: told}, example.place)

    def _examples(self) -> Iterator[Example]:
        return chain.from_iterable(self._tables)

    def _texts(self) -> Iterator[tuple[str, ...]]:
        for example in self._examples():
            try:
                yield tuple(self._student.texts(example.values))
            except UserError as error:
                raise UserError(error.problem, where=example.place, remedy=error.remedy) from error

    def _found(self, path: Path, teacher: Teacher) -> np.ndarray:
        """The teacher's probabilities from the file, which is made where it is not there; an older one goes."""
        if path.is_file():
            return np.load(path)
        found = teacher.probabilities(self._texts(), self.rows)
        for old in path.parent.glob("*.npy"):
            say("the teacher or the texts are others than before: it was asked anew")
            old.unlink()
        with whole(path) as file:
            np.save(file, found)
        return found
