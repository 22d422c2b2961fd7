"""The subwords of text encoders: what WordPiece and byte pairs share, and how a saved vocabulary is found again.

A text goes into such an encoder as `[CLS] a [SEP]`, a pair as `[CLS] a [SEP] b [SEP]` (`pack`). The twins that run
inside an exported graph stand in `zoo.preprocessing.subwords_graph`; tests hold the two equal.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from zoo.errors import UserError
from zoo.recipe import option

if TYPE_CHECKING:
    import tokenizers

    from zoo.preprocessing.subwords_graph import GraphSubwords
    from zoo.progress import Progress

FORMAT = 1
KINDS = {"wordpiece": "zoo.preprocessing.wordpiece:WordPiece", "bytepair": "zoo.preprocessing.bytepair:BytePair"}


@dataclass(frozen=True)
class SubwordChoices:
    """The choices of one vocabulary: the `[preprocessing]` section of a recipe over a text encoder."""

    kind: str = option("wordpiece", "wordpiece as in BERT, bytepair as in GPT-2 and RoBERTa", choices=tuple(KINDS))
    vocabulary: int = option(8000, "number of pieces, the special ones counted in", low=300, high=1_000_000)
    lowercase: bool = option(True, "lowercase every text; byte pairs keep it as it is, and need false")
    strip_accents: str = option("auto", "wordpiece: take the marks off letters; auto = where lowercase is on",
                                choices=("auto", "yes", "no"))  # fmt: skip
    alphabet: int = option(1000, "wordpiece: the most different characters; rarer ones become unknown", low=10)
    least: int = option(2, "how often two pieces have to stand side by side to become one", low=1)


class Packed(NamedTuple):
    """One text or pair as an encoder takes it: ids int32 [T], segments int32 [T], and whether pieces were cut off."""

    ids: np.ndarray
    segments: np.ndarray
    cut: bool


@dataclass(frozen=True)
class Special:
    """The pieces that are no text. Where a text holds their very letters, `[MASK]` say, they stand for themselves."""

    pad: str
    unknown: str
    start: str
    end: str
    mask: str


class Subwords(ABC):
    """A vocabulary of subwords: text to ids and back, without TensorFlow.

    Attributes:
        kind: "wordpiece" or "bytepair".
        special: the special pieces; `pad_id`, `unknown_id`, `start_id`, `end_id`, `mask_id` are their ids.
        size: V, the number of ids; the pieces are 0 to V - 1.
        pair_ends: how many end pieces stand between the two texts of a pair.
        pair_segment: the segment of the second text.
        blank: what stands between two words where a text is given as words.
    """

    kind: ClassVar[str]
    pair_ends: ClassVar[int]
    pair_segment: ClassVar[int]
    blank: ClassVar[str]

    def __init__(self, vocabulary: Mapping[str, int], special: Special) -> None:
        self.special = special
        self.size = len(vocabulary)
        if sorted(vocabulary.values()) != list(range(self.size)):
            raise UserError("the ids of the vocabulary are not 0, 1, 2 and so on", where="vocabulary")
        for piece in asdict(special).values():
            if piece not in vocabulary:
                raise UserError(f'the vocabulary has no special piece "{piece}"', where="vocabulary")
        self.pad_id, self.unknown_id = vocabulary[special.pad], vocabulary[special.unknown]
        self.start_id, self.end_id, self.mask_id = (
            vocabulary[piece] for piece in (special.start, special.end, special.mask)
        )
        self._tokenizer = self._build(vocabulary)

    @abstractmethod
    def _build(self, vocabulary: Mapping[str, int]) -> tokenizers.Tokenizer:
        """The library's tokenizer, with the special pieces."""

    @classmethod
    @abstractmethod
    def fit(
        cls, lines: Iterable[str | Sequence[str]], choices: SubwordChoices, progress: Progress | None = None
    ) -> Self:
        """Learns a vocabulary; the same lines and choices give the same one.

        Args:
            lines: texts, or rows of several texts. Read once; what is held is the words, not the lines.
            choices: what to learn.
            progress: advanced by one a row.

        Raises:
            UserError: no text at all, or choices that do not go together.
        """

    @abstractmethod
    def graph(self) -> GraphSubwords:
        """The graph face, with this vocabulary inside; needs TensorFlow and TensorFlow Text."""

    @property
    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """What beside the files decides the ids of a text, as plain values."""

    @abstractmethod
    def _files(self) -> dict[str, bytes]:
        """The vocabulary as files, by name."""

    @classmethod
    @abstractmethod
    def _from_saved(cls, files: Mapping[str, bytes], special: Special, settings: dict[str, Any]) -> Self:
        """The way back from `_files` and `_settings`."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that decides the ids of a text; data prepared with another one must not be used."""
        told = json.dumps([FORMAT, self.kind, asdict(self.special), self._settings], sort_keys=True).encode()
        return hashlib.sha256(b"\0".join([told, *self._files().values()])).hexdigest()[:16]

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [T], without start and end; no word is longer than the kind's `LONGEST_WORD`."""
        return np.asarray(self._tokenizer.encode(valid(text), add_special_tokens=False).ids, np.int32)

    def encode_with_offsets(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The ids of a text and where they come from.

        Returns:
            ids: int32 [T], as `encode` gives them.
            offsets: int32 [T, 2], start and end in characters (code points) of `text`.
        """
        encoding = self._tokenizer.encode(valid(text), add_special_tokens=False)
        return np.asarray(encoding.ids, np.int32), np.asarray(encoding.offsets, np.int32).reshape(-1, 2)

    def encode_words(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of a text that is given as words.

        Returns:
            ids: int32 [T].
            word_of: int32 [T], the index of the word that each piece belongs to; a word may have no pieces.
        """
        rows = [self.encode(self.blank + word if index else word) for index, word in enumerate(words)]
        word_of = np.repeat(np.arange(len(rows), dtype=np.int32), [len(row) for row in rows])
        return np.concatenate([np.empty(0, np.int32), *rows]), word_of

    def pack(self, a: np.ndarray, b: np.ndarray | None = None, most: int = 128) -> Packed:
        """Puts start and end around the ids of a text or pair; what is too long loses its end, the longer side first.

        Args:
            a: int32 [T], of `encode`.
            b: the same of the second text.
            most: the most ids in all.
        """
        room = most - (2 if b is None else 2 + self.pair_ends)
        first, second = kept(len(a), 0 if b is None else len(b), room)
        parts: list[Any] = [[self.start_id], a[:first], [self.end_id]]
        segments = np.zeros(first + 2, np.int32)
        if b is not None:
            parts += [[self.end_id] * (self.pair_ends - 1), b[:second], [self.end_id]]
            segments = np.append(segments, np.full(self.pair_ends + second, self.pair_segment, np.int32))
        cut = first < len(a) or (b is not None and second < len(b))
        return Packed(np.concatenate(parts).astype(np.int32), segments, cut)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ids [T]; special pieces say nothing, an impossible id is the unknown piece."""
        return self._tokenizer.decode(self._possible(ids), skip_special_tokens=True)

    def pieces(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """The piece of every id as the vocabulary writes it ("##ing"; "Ġ" for a blank where pieces are bytes)."""
        return [self._tokenizer.id_to_token(each) for each in self._possible(ids)]

    def _possible(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        ids = np.asarray(ids, np.int64)
        return np.where((ids >= 0) & (ids < self.size), ids, self.unknown_id).tolist()

    def save(self, folder: Path | str) -> None:
        """Writes the vocabulary in the form that other programs read, and the choices beside it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files().items():
            (folder / name).write_bytes(content)
        about = {"format": FORMAT, "files": list(self._files()), "special": asdict(self.special), **self._settings}
        (folder / f"{self.kind}.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads what `save` wrote.

        Raises:
            UserError: a file is missing, or of a newer format.
        """
        file = Path(folder) / f"{cls.kind}.json"
        about = json.loads(_read(file))
        if (number := about.pop("format")) != FORMAT:
            raise UserError(
                f"format {number}, and this version reads {FORMAT}",
                where=str(file),
                remedy="use the version of zoo that wrote it, or a newer one",
            )
        files = {name: _read(Path(folder) / name) for name in about.pop("files")}
        return cls._from_saved(files, Special(**about.pop("special")), about)


def fit_subwords(
    lines: Iterable[str | Sequence[str]], choices: SubwordChoices, progress: Progress | None = None
) -> Subwords:
    """Learns the vocabulary that `choices` ask for; see `Subwords.fit`."""
    return _class(choices.kind).fit(lines, choices, progress)


def load_subwords(folder: Path | str) -> Subwords:
    """Reads whichever vocabulary was saved in a folder.

    Raises:
        UserError: there is none.
    """
    for kind in KINDS:
        if (Path(folder) / f"{kind}.json").is_file():
            return _class(kind).load(folder)
    names = " or ".join(f"{kind}.json" for kind in KINDS)
    raise UserError(f"{names} is missing", where=str(folder), remedy="give the folder of a saved preprocessor")


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """How many pieces of each of two texts fit in `room`: the longer is cut down to the other, then both alike.

    An odd piece goes to the longer one, and of two of one length to the second, as in the tokenizers library. Here two
    that are both longer than `room` count as alike, so that a graph need not look at all of them.
    """
    if first + second <= room:
        return first, second
    first, second = min(first, room + 1), min(second, room + 1)
    shorter = min(first, second, room // 2)
    return (room - shorter, shorter) if first > second else (shorter, room - shorter)


def valid(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 can hold, as U+FFFD; as long as before."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def texts_of(lines: Iterable[str | Sequence[str]], progress: Progress | None) -> Iterable[str]:
    """Every text of the rows; advances by one a row."""
    for row in lines:
        yield from map(valid, (row,) if isinstance(row, str) else row)
        if progress is not None:
            progress.advance()


def _class(kind: str) -> type[Subwords]:
    module, name = KINDS[kind].split(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != "tokenizers":
            raise
        raise UserError("the package tokenizers is not installed", remedy="pip install tokenizers") from error


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise UserError(
            f"{file.name} is missing", where=str(file.parent), remedy="give the folder of a saved preprocessor"
        )
    return file.read_bytes()
