"""WordPiece as in BERT (Devlin et al., 2018, arXiv:1810.04805): the host face, on the tokenizers library.

What happens to a text, on both faces and in this order: special pieces that it spells out are taken out; control
characters and U+FFFD go, every blank becomes a plain one; Chinese characters stand alone; where the choices say so,
letters are decomposed and lose their marks, and are lowercased; the rest is cut at blanks and around punctuation into
words, and each word into the longest pieces from the left. A word of more than `LONGEST_WORD` characters, and one
that no pieces spell, is the unknown piece.

The twin that runs inside an exported graph is `zoo.preprocessing.wordpiece_graph`; tests hold the two equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from zoo.errors import UserError
from zoo.preprocessing.subwords import Special, SubwordChoices, Subwords, texts_of

if TYPE_CHECKING:
    from zoo.preprocessing.wordpiece_graph import GraphWordPiece
    from zoo.progress import Progress

BERT_SPECIAL = Special(pad="[PAD]", unknown="[UNK]", start="[CLS]", end="[SEP]", mask="[MASK]")
CONTINUED = "##"  # begins a piece that is not the first of its word
LONGEST_WORD = 100  # characters
VOCABULARY_FILE = "vocab.txt"
REPEATED = 10_000  # of one word in a text that the trainer is handed


class WordPiece(Subwords):
    """One vocabulary of word pieces; made by `fit`, `from_vocabulary` or `load`.

    Args:
        pieces: the piece of every id.
        lowercase: whether letters are lowercased.
        strip_accents: whether letters lose their marks; None: as `lowercase`.
        cjk: whether each Chinese character is a word of its own.
        special: the special pieces.

    Raises:
        UserError: a special piece is missing, or a piece stands there twice.
    """

    kind, pair_ends, pair_segment, blank = "wordpiece", 1, 1, ""

    def __init__(
        self, pieces: Sequence[str], *, lowercase: bool, strip_accents: bool | None, cjk: bool, special: Special
    ) -> None:
        self._pieces = tuple(pieces)
        self.lowercase, self.cjk = lowercase, cjk
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        twice = [piece for piece, count in Counter(self._pieces).items() if count > 1]
        if twice:
            raise UserError(f'the piece "{twice[0]}" stands in the vocabulary twice', where="vocabulary")
        super().__init__({piece: index for index, piece in enumerate(self._pieces)}, special)

    def _build(self, vocabulary: Mapping[str, int]) -> Tokenizer:
        tokenizer = Tokenizer(
            models.WordPiece(
                dict(vocabulary),
                unk_token=self.special.unknown,
                max_input_chars_per_word=LONGEST_WORD,
                continuing_subword_prefix=CONTINUED,
            )
        )
        tokenizer.normalizer = self.normalizer
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(CONTINUED)
        special = dict.fromkeys(asdict(self.special).values())
        tokenizer.add_special_tokens([AddedToken(piece, normalized=False) for piece in special])
        return tokenizer

    @property
    def normalizer(self) -> normalizers.Normalizer:
        """What the library does to a text before it is cut into words."""
        return _normalizer(self.lowercase, self.strip_accents, self.cjk)

    @classmethod
    def from_vocabulary(
        cls,
        pieces: Sequence[str],
        *,
        lowercase: bool,
        strip_accents: bool | None = None,
        cjk: bool = True,
        special: Special = BERT_SPECIAL,
    ) -> WordPiece:
        """A vocabulary that was learned elsewhere; arguments and errors are those of the class."""
        return cls(pieces, lowercase=lowercase, strip_accents=strip_accents, cjk=cjk, special=special)

    @classmethod
    def fit(
        cls, lines: Iterable[str | Sequence[str]], choices: SubwordChoices, progress: Progress | None = None
    ) -> WordPiece:
        strip = choices.lowercase if choices.strip_accents == "auto" else choices.strip_accents == "yes"
        words = _count_words(texts_of(lines, progress), _normalizer(choices.lowercase, strip, cjk=True))
        if not words:
            raise UserError("there is no text to learn a vocabulary from", where="[data] train")
        pieces = _learn(words, choices)
        return cls(pieces, lowercase=choices.lowercase, strip_accents=strip, cjk=True, special=BERT_SPECIAL)

    def graph(self) -> GraphWordPiece:
        from zoo.preprocessing.wordpiece_graph import GraphWordPiece

        return GraphWordPiece(self, self._pieces)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"lowercase": self.lowercase, "strip_accents": self.strip_accents, "cjk": self.cjk}

    def _files(self) -> dict[str, bytes]:
        return {VOCABULARY_FILE: "".join(f"{piece}\n" for piece in self._pieces).encode()}

    @classmethod
    def _from_saved(cls, files: Mapping[str, bytes], special: Special, settings: dict[str, Any]) -> WordPiece:
        # Not splitlines(): a piece may be one of Unicode's other ends of a line.
        return cls(files[VOCABULARY_FILE].decode().split("\n")[:-1], special=special, **settings)


def _normalizer(lowercase: bool, strip_accents: bool, cjk: bool) -> normalizers.Normalizer:
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=cjk, strip_accents=strip_accents, lowercase=lowercase
    )


def _count_words(texts: Iterable[str], normalizer: normalizers.Normalizer) -> Counter[str]:
    words: Counter[str] = Counter()
    cutter = pre_tokenizers.BertPreTokenizer()
    for text in texts:
        words.update(word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text)))
    return words


def _learn(words: Counter[str], choices: SubwordChoices) -> list[str]:
    """The pieces, special ones first, by the library's trainer.

    The trainer breaks ties by the ids of characters, and numbers these, where they go on a word, in the order of a hash
    table that differs from process to process; which of equally rare characters it keeps is as random. So characters
    are chosen here, and those that go on a word are handed over as if they were special, which fixes their ids.
    """
    counts: Counter[str] = Counter()
    continued: set[str] = set()
    for word, count in words.items():
        continued.update(word[1:])
        for character in word:
            counts[character] += count
    special = list(asdict(BERT_SPECIAL).values())
    most = min(choices.alphabet, (choices.vocabulary - len(special)) // 2)
    alphabet = sorted(sorted(counts, key=lambda character: (-counts[character], character))[:most])
    trainer = trainers.WordPieceTrainer(
        vocab_size=choices.vocabulary,
        min_frequency=choices.least,
        special_tokens=special + [CONTINUED + character for character in alphabet if character in continued],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=CONTINUED,
        show_progress=False,
    )
    learner = Tokenizer(models.WordPiece(unk_token=BERT_SPECIAL.unknown))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(_written_out(words), trainer)
    vocabulary = learner.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _written_out(words: Counter[str]) -> Iterator[str]:
    """Texts that hold every word as often as it was counted: the trainer takes no counts."""
    for word in sorted(words):
        whole, rest = divmod(words[word], REPEATED)
        for times in (*[REPEATED] * whole, rest):
            yield f"{word} " * times
