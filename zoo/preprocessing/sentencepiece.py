"""Text to ids and back by SentencePiece (Kudo and Richardson, 2018, arXiv:1808.06226): the host face.

The twin that runs inside an exported graph is `zoo.preprocessing.sentencepiece_graph`; tests hold the two equal.

What happens to a text, on both faces and in this order: invalid UTF-8 becomes U+FFFD, NUL goes (the rule below leaves
it, and TensorFlow's lowercasing ends there); letters are lowercased where the choices say so; SentencePiece's
`nmt_nfkc` rule folds compatibility forms (full-width letters, ligatures), drops control characters, turns odd blanks
and U+FFFD into plain ones and merges runs of them; the rest is cut into pieces.

Lowercasing goes before the rule and not by SentencePiece's own `nmt_nfkc_cf`, because case folding also writes
"Straße" as "strasse", which no one wants to read in an answer.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sentencepiece

from zoo.errors import UserError
from zoo.preprocessing.subword_sampling import MergeSampler, UnigramSampler
from zoo.recipe import option

if TYPE_CHECKING:
    from zoo.preprocessing.sentencepiece_graph import GraphSentencePiece
    from zoo.progress import Progress

PAD_ID, UNKNOWN_ID, START_ID, END_ID = 0, 1, 2, 3
FORMAT = 1
MODEL_FILE, CHOICES_FILE = "model.spm", "sentencepiece.json"
# Pieces are learned from at most so many lines, drawn evenly: more change little and would have to fit in memory.
LEARNED_LINES = 1_000_000
LEARNED_CHARACTERS = 4_000  # of a line; the library would leave a longer one out
# No piece is longer, so a text of 16 n characters has at least n pieces, runs of blanks aside.
CHARACTERS_A_PIECE = 16
# The sums of the unigram trainer depend on the number of threads, so it is fixed and not the machine's.
TRAINER_THREADS = 4


@dataclass(frozen=True)
class SentencePieceChoices:
    """The choices of one SentencePiece vocabulary: the `[preprocessing]` section of a text recipe."""

    kind: str = option("bpe", "how pieces are learned", choices=("bpe", "unigram"))
    vocabulary: int = option(
        8000, "number of pieces, the four special ones and the bytes counted in", low=8, high=1_000_000
    )
    shared: bool = option(True, "one vocabulary for source and target instead of one each")
    lowercase: bool = option(False, "lowercase every text first; answers are then lowercase too")
    character_coverage: float = option(
        1.0, "share of the characters of the corpus that get a piece of their own; 0.9995 for Chinese or Japanese",
        low=0.9, high=1.0,
    )  # fmt: skip
    byte_fallback: bool = option(
        True,
        "256 of the pieces spell any other character, an emoji say, in bytes, so that no text is lost; "
        "without them such a character becomes the unknown piece",
    )
    sampling: float = option(
        0.0,
        "subword regularization in training, 0 = off: for bpe the probability of leaving a merge out "
        "(0.1 in BPE-dropout), for unigram the power that flattens the probabilities (0.1 to 0.5)",
        low=0.0, high=1.0,
    )  # fmt: skip


class SentencePiece:
    """One learned vocabulary: text to ids and back, without TensorFlow.

    Ids: 0 pad, 1 unknown, 2 start, 3 end, then bytes (where chosen) and pieces. `encode` adds no start and no end.

    Args:
        model: a serialized SentencePiece model, made by `fit` or with the same four special ids.
        choices: what it was learned with; encoding uses `lowercase` and `sampling`.

    Raises:
        UserError: the model's special ids are others.
    """

    pad_id, unknown_id, start_id, end_id = PAD_ID, UNKNOWN_ID, START_ID, END_ID

    def __init__(self, model: bytes, choices: SentencePieceChoices) -> None:
        self.model = model
        self.choices = choices
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        special = tuple(getattr(self._processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos"))
        if special != (PAD_ID, UNKNOWN_ID, START_ID, END_ID):
            raise UserError(
                f"a SentencePiece model whose pad, unknown, start and end ids are {special}, not (0, 1, 2, 3)",
                remedy="train it with --pad_id=0 --unk_id=1 --bos_id=2 --eos_id=3",
            )

    @classmethod
    def fit(
        cls, lines: Iterable[str | Sequence[str]], choices: SentencePieceChoices, progress: Progress | None = None
    ) -> SentencePiece:
        """Learns a vocabulary from text; the same lines and choices give the same vocabulary.

        Args:
            lines: texts, or rows of several texts (source and target of a pair, say). Read once; of a large corpus,
                only a sample of `LEARNED_LINES` is held.
            choices: what to learn.
            progress: advanced by one a row.

        Raises:
            UserError: no text at all, or a vocabulary too large or too small for it (says the bound that works).
        """
        drawn = _draw(lines, choices.lowercase, progress)
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_handed_over(drawn), model_writer=model,
                model_type=choices.kind, vocab_size=choices.vocabulary,
                character_coverage=choices.character_coverage, byte_fallback=choices.byte_fallback,
                normalization_rule_name="nmt_nfkc", max_sentencepiece_length=CHARACTERS_A_PIECE,
                pad_id=PAD_ID, unk_id=UNKNOWN_ID, bos_id=START_ID, eos_id=END_ID,
                max_sentence_length=4 * LEARNED_CHARACTERS, num_threads=TRAINER_THREADS, minloglevel=2,
            )  # fmt: skip
        except RuntimeError as error:
            raise _explain(error, choices) from error
        return cls(_with_exact_scores(model.getvalue()), choices)

    @cached_property
    def _sampler(self) -> MergeSampler | UnigramSampler:
        sampler = MergeSampler if self.choices.kind == "bpe" else UnigramSampler
        return sampler(self._processor, self.choices.sampling)

    @property
    def size(self) -> int:
        """V, the number of pieces."""
        return len(self._processor)

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that decides the ids of a text; data prepared with another one must not be used."""
        choices = json.dumps([FORMAT, self.choices.lowercase]).encode()
        return hashlib.sha256(choices + self.model).hexdigest()[:16]

    def encode(self, text: str | bytes, *, sample_rng: np.random.Generator | None = None) -> np.ndarray:
        """Returns the ids of one text, int32 [T], without start and end.

        Args:
            text: a string, or UTF-8 bytes.
            sample_rng: draws one of the many ways to cut the text, as `choices.sampling` says. Without it, or with
                sampling 0, the best way is taken.
        """
        text = normal(text, self.choices.lowercase)
        if sample_rng is None or not self.choices.sampling:
            return np.asarray(self._processor.encode(text), np.int32)
        return np.asarray(self._sampler(text, sample_rng), np.int32)

    def encode_batch(self, texts: Iterable[str | bytes]) -> list[np.ndarray]:
        """Returns the ids of every text, each int32 [T]."""
        batch = self._processor.encode([normal(text, self.choices.lowercase) for text in texts])
        return [np.asarray(ids, np.int32) for ids in batch]

    def encode_within(self, text: str | bytes, max_length: int) -> tuple[np.ndarray, bool]:
        """Returns what the graph face gives for one text: ids int32 [T], the last one end, and whether it was cut.

        Args:
            text: of any length; characters past `CHARACTERS_A_PIECE` * `max_length` are not looked at.
            max_length: the most ids, end counted in.
        """
        # Graph and host must cut the same string: valid, and not yet lowercased, which may change its length.
        text = normal(text, lowercase=False)
        seen = text[: CHARACTERS_A_PIECE * max_length]
        ids = self.encode(seen)
        truncated = len(seen) < len(text) or len(ids) >= max_length
        return np.append(ids[: max_length - 1], np.int32(END_ID)), truncated

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Returns the text of ids [T]: pad, start and end say nothing, an unknown or impossible id says "⁇"."""
        return self._processor.decode(self._possible(ids))

    def decode_batch(self, rows: Iterable[Sequence[int] | np.ndarray]) -> list[str]:
        """Returns the text of every row of ids."""
        return [self.decode(ids) for ids in rows]

    def pieces(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """Returns the piece of every id as SentencePiece writes it ("▁" stands for a blank, "<0xF0>" for a byte)."""
        return self._processor.id_to_piece(self._possible(ids))

    def save(self, folder: Path | str) -> None:
        """Writes `model.spm`, which every SentencePiece program reads, and the choices beside it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_FILE).write_bytes(self.model)
        choices = {"format": FORMAT, **asdict(self.choices)}
        (folder / CHOICES_FILE).write_text(json.dumps(choices, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> SentencePiece:
        """Reads what `save` wrote.

        Raises:
            UserError: a file is missing, or of a newer format.
        """
        folder = Path(folder)
        for name in (MODEL_FILE, CHOICES_FILE):
            if not (folder / name).is_file():
                raise UserError(
                    f"{name} is missing", where=str(folder), remedy="give the folder of a saved preprocessor"
                )
        choices = json.loads((folder / CHOICES_FILE).read_text(encoding="utf-8"))
        if (number := choices.pop("format")) != FORMAT:
            raise UserError(
                f"format {number}, and this version reads {FORMAT}",
                where=str(folder / CHOICES_FILE),
                remedy="use the version of zoo that wrote it, or a newer one",
            )
        return cls((folder / MODEL_FILE).read_bytes(), SentencePieceChoices(**choices))

    def graph(self) -> GraphSentencePiece:
        """Returns the graph face, with this vocabulary inside; needs TensorFlow and TensorFlow Text."""
        from zoo.preprocessing.sentencepiece_graph import GraphSentencePiece

        return GraphSentencePiece(self.model, lowercase=self.choices.lowercase)

    def _possible(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        ids = np.asarray(ids, np.int64)
        return np.where((ids >= 0) & (ids < self.size), ids, UNKNOWN_ID).tolist()


def normal(text: str | bytes, lowercase: bool) -> str:
    """Returns valid text: what is not UTF-8 (a lone surrogate too) as U+FFFD, no NUL, lowercased if asked."""
    if isinstance(text, str) and not text.isascii():
        text = text.encode("utf-8", "surrogatepass")
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = text.replace("\0", "")
    return text.lower() if lowercase else text


def _with_exact_scores(model: bytes) -> bytes:
    """Rounds the scores of a serialized model to 1/256, so that sums of them are exact in float32.

    Two ways to cut a text often hold the same pieces in another order ("0" "00" and "00" "0"). Rounding errors then
    decide between them, and differently in the SentencePiece that is inside TensorFlow Text. Exact sums tie, and both
    break a tie alike. Scores lie in place as little-endian floats; the library's protobuf classes are not used, since
    other packages register a file of the same name.
    """
    edited = bytearray(model)
    at = 0
    while edited[at] == 0x0A:  # field 1 of ModelProto: a piece
        start, end = _span(edited, at + 1)
        _, score = _span(edited, start + 1)  # field 1 of a piece: its text; behind it field 2, a float: its score
        (value,) = struct.unpack_from("<xf", edited, score)
        struct.pack_into("<f", edited, score + 1, round(value * 256) / 256)
        at = end
    return bytes(edited)


def _span(message: bytearray, at: int) -> tuple[int, int]:
    """Returns start and end of the protobuf field whose length is written at `at`, seven bits a byte."""
    length = shift = 0
    while message[at] & 0x80:
        length |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    length |= message[at] << shift
    return at + 1, at + 1 + length


def _draw(lines: Iterable[str | Sequence[str]], lowercase: bool, progress: Progress | None) -> list[str]:
    """Returns all texts of the rows or, of more than `LEARNED_LINES`, so many, each as likely (Vitter's algorithm R).

    The trainer could draw, but by a seed that differs between processes.
    """
    rng = random.Random(1)
    drawn: list[str] = []
    seen = 0
    for row in lines:
        for text in (row,) if isinstance(row, str) else row:
            seen += 1
            if seen <= LEARNED_LINES:
                drawn.append(normal(text[:LEARNED_CHARACTERS], lowercase))
            elif (place := rng.randrange(seen)) < LEARNED_LINES:
                drawn[place] = normal(text[:LEARNED_CHARACTERS], lowercase)
        if progress is not None:
            progress.advance()
    return drawn


def _handed_over(texts: list[str]) -> Iterator[str]:
    """Yields the texts and lets go of each, so that they are not in memory twice: the trainer copies them."""
    texts.reverse()
    while texts:
        yield texts.pop()


def _explain(error: RuntimeError, choices: SentencePieceChoices) -> Exception:
    """Returns a UserError that says what to choose instead, where the trainer's message is about the user's choices."""
    message = str(error)
    where = "preprocessing.vocabulary"
    if found := re.search(r"too high \(\d+\).* value <= (\d+)", message):
        largest = found.group(1)
        return UserError(
            f"{choices.vocabulary} pieces are too many for this corpus; the largest vocabulary that works is {largest}",
            where=where,
            remedy=f"set preprocessing.vocabulary to {largest} or less, or give more text",
        )
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        smallest = found.group(1)
        return UserError(
            f"{choices.vocabulary} pieces are too few for this text; the smallest vocabulary that works is {smallest}",
            where=where,
            remedy=f"set preprocessing.vocabulary to {smallest} or more, or preprocessing.character_coverage lower",
        )
    if "sentences_.empty()" in message:
        return UserError(
            "there is no text to learn a vocabulary from", where=where, remedy="give files with text in them"
        )
    return error
