"""What trained translators, the teachers, make of the pairs that another translator learns from.

A model that is small, or has few pairs to learn from, learns better from what models write beside what people wrote,
each in their own way: sequence-level knowledge distillation (Kim and Rush, 2016, arXiv 1606.07947); with several
teachers, some of which translate back, data diversification (Nguyen et al., 2020, arXiv 1911.01986). Of a teacher's
best outputs the one is taken that is nearest to what a person wrote (sequence-level interpolation, the fourth section
of the first paper). No text is added that the pairs do not hold.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from zoo.data.tables import Example, Table
from zoo.errors import UserError
from zoo.files import whole
from zoo.progress import track
from zoo.tasks.task import make

AT_ONCE = 2048  # texts that a teacher is asked together: sorted by length, they are padded little
ROWS = 128  # of them in a batch


class Translations(Table):
    """Each pair, and after it what the teachers write: other targets, or of a teacher that translates back, sources.

    Of the outputs that a teacher's search ends with, the whole beam, the one counts that has the highest chrF against
    the pair's own side; of equals the one that the teacher prefers.

    Args:
        pairs: a table with the columns "source" and "target".
        teachers: recipe, preprocessors and weights of each (`zoo.run.Start`).
        languages: of the pairs, `source_language` and `target_language`.
        folder: where the translations are kept, a file for each teacher, a line for each pair. A file that is whole
            is found again, by the texts and by all that decides what the teacher makes of them.

    Raises: UserError for a teacher of another task or of other languages.
    """

    def __init__(self, pairs: Table, teachers: Sequence[Any], languages: Any, folder: Path) -> None:
        self.pairs, self.columns, self.files, self.rows = pairs, pairs.columns, pairs.files, None
        sides = [_side(teacher.recipe, languages) for teacher in teachers]
        self.told = [
            (side, self._translated(teacher, side, folder)) for teacher, side in zip(teachers, sides, strict=True)
        ]

    @property
    def fingerprint(self) -> str:
        """What decides the translations."""
        return " ".join(f"{side} {path.stem}" for side, path in self.told)

    def __iter__(self) -> Iterator[Example]:
        texts = (path.read_text(encoding="utf-8").split("\n")[:-1] for _, path in self.told)
        for example, *answers in zip(self.pairs, *texts, strict=True):
            yield example
            # A dictionary, not a set: equal ones once, in the order of the teachers.
            for side, answer in dict.fromkeys(zip((side for side, _ in self.told), answers, strict=True)):
                if answer and answer != example.values[side]:
                    yield Example({**example.values, side: answer}, example.place)

    def _asked(self, side: str) -> Iterator[tuple[str, str]]:
        """What the teacher reads of each pair, and what a person wrote there."""
        other = "source" if side == "target" else "target"
        return ((example.values[other], example.values[side]) for example in self.pairs)

    def _translated(self, teacher: Any, side: str, folder: Path) -> Path:
        """The file of a teacher's translations, which is made where it is not there."""
        import keras

        from zoo.training.checkpoints import digest, weights

        task = cast(Any, make(teacher.recipe))
        task.preprocessors = dict(teacher.preprocessors)
        choices = dataclasses.replace(teacher.recipe.decoding, n_best=teacher.recipe.decoding.width)
        how = f"{task.fingerprint} {choices} {keras.config.dtype_policy().name}"
        told = hashlib.sha256(f"{how} {digest(weights(teacher.weights))}".encode())
        for pair in self._asked(side):
            told.update(f"{pair!r}\n".encode("utf-8", "surrogatepass"))
        path = folder / f"{told.hexdigest()[:16]}.txt"
        if path.is_file():
            return path
        model = task.build_model(teacher.recipe.training.seed)
        task.start_from(model, teacher)
        pairs = self._asked(side)
        with whole(path) as file, track("asking a teacher", total=None, unit="texts") as progress:
            while some := list(islice(pairs, AT_ONCE)):
                asked, written = zip(*some, strict=True)
                answers = task.predict_n_best(model, asked, choices, rows=ROWS)
                for (found, _), text in zip(answers, written, strict=True):
                    # A line each, whatever white space an answer holds.
                    file.write(f"{' '.join(_nearest(found, text).split())}\n".encode())
                progress.advance(len(some))
        return path


def _nearest(candidates: Sequence[str], reference: str) -> str:
    from sacrebleu import sentence_chrf

    return max(candidates, key=lambda each: sentence_chrf(each, [reference]).score)


def _side(recipe: Any, languages: Any) -> str:
    """Which side of a pair the teacher writes."""
    where = "[training] teachers"
    if recipe.task != "translate":
        raise UserError(f'a teacher is of the task "{recipe.task}"', where=where, remedy="Name translators.")
    theirs, ours = ((each.source_language, each.target_language) for each in (recipe.export, languages))
    if theirs == ours:
        return "target"
    if theirs == ours[::-1]:
        return "source"
    told = [" to ".join(language or "?" for language in pair) for pair in (theirs, ours)]
    raise UserError(
        f"a teacher translates {told[0]}, and its student {told[1]}", where=where,
        remedy="Name translators of the same two languages; [export] source_language and target_language tell them.",
    )  # fmt: skip
