"""Documents packed into rows of full length, for pre-training: no piece is lost, and little of a batch is padding."""

from collections.abc import Callable, Iterator

import numpy as np

from zoo.data.tables import Example, Table


class Packed(Table):
    """The texts of a table, joined and cut into rows of `room` pieces; the last row of a document is shorter.

    A document goes to the next empty text, as in the files of BERT's own pre-training (Devlin et al., 2018); without
    any, all texts are one. It streams: no more than a row and a text are held. A row's place is that of the text with
    which it begins.

    Args:
        table: with the column "text".
        encode: text -> pieces, int32 [T].
        room: pieces of a row.
    """

    columns = ("pieces",)

    def __init__(self, table: Table, encode: Callable[[str], np.ndarray], room: int) -> None:
        self.table, self.encode, self.room = table, encode, room
        self.files = table.files

    def __iter__(self) -> Iterator[Example]:
        held, place = np.zeros(0, np.int32), ""
        for values, here in self.table:
            pieces = self.encode(values["text"])
            ends = not values["text"].strip()
            place = place if len(held) else here
            held = np.concatenate([held, pieces])
            while len(held) >= self.room or (ends and len(held)):
                yield Example({"pieces": held[: self.room]}, place)
                held, place = held[self.room :], here
        if len(held):
            yield Example({"pieces": held}, place)
