"""Subword regularization: one of the many ways to cut a text into pieces, drawn anew each time.

SentencePiece draws too, but its random numbers do not repeat in another process, whatever seed it is given; a training
that was stopped must go on as if it had not been.
"""

import random
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from sentencepiece import SentencePieceProcessor

WAYS = 64  # that a unigram model draws from, the best ones; as Kudo's l


class UnigramSampler:
    """Draws one of the `WAYS` best ways, by their probabilities to the given power (Kudo, 2018, arXiv:1804.10959).

    Args:
        processor: of a unigram model.
        power: 0 draws evenly, 1 by the model's own probabilities.
    """

    def __init__(self, processor: SentencePieceProcessor, power: float) -> None:
        self._processor, self._power = processor, power
        self._scores = np.array([processor.get_score(piece) for piece in range(len(processor))])

    def __call__(self, text: str, rng: np.random.Generator) -> list[int]:
        """Returns ids of one text."""
        ways = self._processor.nbest_encode(text, nbest_size=WAYS)
        scores = self._power * np.array([self._scores[way].sum() for way in ways])
        weights = np.exp(scores - scores.max())
        return ways[rng.choice(len(ways), p=weights / weights.sum())]


class MergeSampler:
    """Leaves out merges at random (BPE-dropout: Provilkov et al., 2020, arXiv:1910.13267).

    Args:
        processor: of a BPE model.
        dropout: the probability that a merge is left out, drawn again at each step.
    """

    def __init__(self, processor: SentencePieceProcessor, dropout: float) -> None:
        self._processor, self._dropout = processor, dropout
        special = (processor.is_control, processor.is_unknown, processor.is_byte, processor.is_unused)
        ids = [piece for piece in range(len(processor)) if not any(is_special(piece) for is_special in special)]
        self._ids = {processor.id_to_piece(piece): piece for piece in ids}
        self._scores = {processor.id_to_piece(piece): processor.get_score(piece) for piece in ids}

    def __call__(self, text: str, rng: np.random.Generator) -> list[int]:
        """Returns ids of one text."""
        draw = random.Random(int(rng.integers(2**63))).random  # numpy takes ten times as long for one number
        ids: list[int] = []
        for word in re.findall("▁?[^▁]*", self._processor.normalize(text)):  # no piece goes over the start of a word
            for piece in self._merged(list(word), draw):
                ids += [self._ids[piece]] if piece in self._ids else self._spelled(piece, ids)
        return ids

    def _merged(self, symbols: list[str], draw: Callable[[], float]) -> list[str]:
        """Joins the two neighbours with the best piece, again and again, but for those left out this time."""
        while True:
            best, place = -np.inf, -1
            for at, (left, right) in enumerate(pairwise(symbols)):
                score = self._scores.get(left + right, -np.inf)
                if score > best and draw() >= self._dropout:
                    best, place = score, at
            if place < 0:
                return symbols
            symbols[place : place + 2] = ["".join(symbols[place : place + 2])]

    def _spelled(self, character: str, before: list[int]) -> list[int]:
        """A character without a piece: its bytes or, in a model without them, one unknown for all that follow on."""
        ids = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in character.encode()]
        unknown = self._processor.unk_id()
        if unknown in ids:
            return [] if before[-1:] == [unknown] else [unknown]
        return ids
