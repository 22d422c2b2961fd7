r"""Byte pairs as in GPT-2 and RoBERTa (Radford et al., 2019; Sennrich et al., 2016, arXiv:1508.07909): the host face.

What happens to a text, on both faces and in this order: special pieces that it spells out are taken out; the rest is
cut into words by GPT-2's pattern (contractions; letters, numbers or other characters, each with the blank before them;
blanks); the UTF-8 bytes of each word are the first pieces, and two neighbours become one, the earliest learned pair
first, until no pair is known. No text is lost and none is unknown. A word of more than `LONGEST_WORD` bytes is cut
into words of so many, so that a text of n bytes costs no more than n times that; below it, ids and offsets are those
that RoBERTa's own tokenizer gives.

It rides on the tokenizers library; the twin that runs inside an exported graph is `zoo.preprocessing.bytepair_graph`,
and tests hold the two equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from zoo.errors import UserError
from zoo.preprocessing.subwords import Special, SubwordChoices, Subwords, texts_of

if TYPE_CHECKING:
    from zoo.preprocessing.bytepair_graph import GraphBytePair
    from zoo.progress import Progress

ROBERTA_SPECIAL = Special(pad="<pad>", unknown="<unk>", start="<s>", end="</s>", mask="<mask>")
VOCABULARY_FILE, MERGES_FILE = "vocab.json", "merges.txt"
LONGEST_WORD = 512  # bytes
HEADER = "#version: 0.2"  # of merges.txt, as other programs expect it


class BytePair(Subwords):
    """One vocabulary of byte pairs; made by `fit`, `from_files` or `load`.

    Args:
        vocabulary: the id of every piece, bytes written as letters (`byte_letters`).
        merges: the pairs that become one piece, the earliest learned first.
        special: the special pieces.
        mask_takes_blanks: whether a mask in a text takes the blanks before it along, as in RoBERTa.

    Raises:
        UserError: a special piece, a byte, or a part or the outcome of a merge is missing; a merge stands there twice.
    """

    kind, pair_ends, pair_segment, blank = "bytepair", 2, 0, " "

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        special: Special,
        mask_takes_blanks: bool,
    ) -> None:
        self._vocabulary = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
        self._merges = [(left, right) for left, right in merges]
        self.mask_takes_blanks = mask_takes_blanks
        for letter in byte_letters():
            if letter not in vocabulary:
                raise UserError(f'the vocabulary has no piece for a byte, "{letter}"', where="vocabulary")
        for number, (left, right) in enumerate(self._merges, 1):
            for piece in (left, right, left + right):
                if piece not in vocabulary:
                    problem = f'"{left} {right}" is to be merged, and the vocabulary has no piece "{piece}"'
                    raise UserError(problem, where=f"merge {number}")
        if len(set(self._merges)) < len(self._merges):
            raise UserError("a pair stands among the merges twice", where="merges")
        super().__init__(vocabulary, special)

    def _build(self, vocabulary: Mapping[str, int]) -> Tokenizer:
        tokenizer = Tokenizer(models.BPE(dict(vocabulary), self._merges))
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)  # a letter for each byte from here on
        parts = pre_tokenizers.Split(Regex(f".{{{LONGEST_WORD}}}"), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, parts])
        tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
        tokenizer.decoder = decoders.ByteLevel()
        special = {piece: name == "mask" and self.mask_takes_blanks for name, piece in asdict(self.special).items()}
        tokenizer.add_special_tokens(
            [AddedToken(piece, normalized=False, lstrip=takes) for piece, takes in special.items()]
        )
        return tokenizer

    @classmethod
    def from_files(
        cls,
        vocabulary: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        special: Special = ROBERTA_SPECIAL,
        mask_takes_blanks: bool = True,
    ) -> BytePair:
        """A vocabulary that was learned elsewhere; arguments and errors are those of the class."""
        return cls(vocabulary, merges, special=special, mask_takes_blanks=mask_takes_blanks)

    @classmethod
    def fit(
        cls, lines: Iterable[str | Sequence[str]], choices: SubwordChoices, progress: Progress | None = None
    ) -> BytePair:
        if choices.lowercase or choices.strip_accents == "yes":
            field = "lowercase" if choices.lowercase else "strip_accents"
            raise UserError(
                "byte pairs keep every letter as it is",
                where=f"[preprocessing] {field}",
                remedy='set lowercase = false and strip_accents = "auto", or kind = "wordpiece"',
            )
        learner = Tokenizer(models.BPE())
        learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=choices.vocabulary,
            min_frequency=choices.least,
            special_tokens=list(asdict(ROBERTA_SPECIAL).values()),
            initial_alphabet=sorted(byte_letters()),
            show_progress=False,
        )
        learner.train_from_iterator(_some(texts_of(lines, progress)), trainer)
        merges = json.loads(learner.to_str())["model"]["merges"]
        return cls.from_files(learner.get_vocab(), [(left, right) for left, right in merges])

    def graph(self) -> GraphBytePair:
        from zoo.preprocessing.bytepair_graph import GraphBytePair

        return GraphBytePair(self, self._vocabulary, self._merges)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"mask_takes_blanks": self.mask_takes_blanks}

    def _files(self) -> dict[str, bytes]:
        merges = [HEADER, *(f"{left} {right}" for left, right in self._merges)]
        return {
            VOCABULARY_FILE: json.dumps(self._vocabulary, ensure_ascii=False).encode(),
            MERGES_FILE: "".join(f"{line}\n" for line in merges).encode(),
        }

    @classmethod
    def _from_saved(cls, files: Mapping[str, bytes], special: Special, settings: dict[str, Any]) -> BytePair:
        lines = files[MERGES_FILE].decode().split("\n")[1:-1]
        merges = [(left, right) for left, right in (line.split(" ") for line in lines)]
        return cls(json.loads(files[VOCABULARY_FILE]), merges, special=special, **settings)


def byte_letters() -> list[str]:
    """The letter that stands for each byte in a piece: itself where one can see it, else one from U+0100 on."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(others)) for byte in range(256)]


def _some(texts: Iterable[str]) -> Iterator[str]:
    """The texts.

    Raises: UserError at their end where all were blank.
    """
    blank = True
    for text in texts:
        blank = blank and not text.strip()
        yield text
    if blank:
        raise UserError("there is no text to learn a vocabulary from", where="[data] train")
