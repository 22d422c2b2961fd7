"""The tokenizer files of transformers and our subwords: WordPiece and byte-level BPE, in both directions.

A vocabulary is read from tokenizer.json where it is there, since transformers does so too; else from vocab.txt
(WordPiece) or vocab.json with merges.txt (byte-level BPE). Flags such as do_lower_case count as tokenizer_config.json
has them, and where it is silent as tokenizer.json has them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UserError
from zoo.interop.tensors import FETCH, read_json

if TYPE_CHECKING:
    from zoo.preprocessing.subwords import Special, Subwords

ROLES = ("pad", "unknown", "start", "end", "mask")
KEYS = dict(zip(ROLES, ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), strict=True))
WORDPIECE = dict(zip(ROLES, ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), strict=True))
BYTEPAIR = dict(zip(ROLES, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), strict=True))
FILES = "tokenizer.json, vocab.txt, or vocab.json with merges.txt"
# What each part of a tokenizer.json may be.
PARTS = {
    "WordPiece": {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"},
    "BPE": {"normalizer": None, "pre_tokenizer": "ByteLevel"},
}
SHOWN = 5  # tokens in an error
# What our subwords do in one way alone: part, option, that way. Any other would give texts other ids.
OPTIONS = {
    "WordPiece": (("model", "max_input_chars_per_word", 100), ("normalizer", "clean_text", True)),
    "BPE": (
        *(("pre_tokenizer", "use_regex", True), ("pre_tokenizer", "add_prefix_space", False)),
        *(("model", "ignore_merges", False), ("model", "byte_fallback", False), ("model", "dropout", None)),
        ("model", "end_of_word_suffix", None),
    ),
}


def read_subwords(folder: Path) -> Subwords:
    """The subwords of a checkpoint, with the ids of its own special pieces.

    Raises: UserError where there is no vocabulary, or it is torn or of another kind.
    """
    try:
        subwords = _read(folder)
        _check_added(folder, subwords.special)
        return subwords
    except UserError as error:
        if str(folder) in error.where:
            raise
        raise UserError(error.problem, where=f"{folder}: {error.where}", remedy=error.remedy) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"the files of its tokenizer are torn ({error!r})", where=str(folder), remedy=FETCH) from error


def _read(folder: Path) -> Subwords:
    flags = _flags(folder)
    path = folder / "tokenizer.json"
    if path.is_file():
        whole = read_json(path)
        model = _checked(whole, path)
        added = {each["content"]: each for each in whole.get("added_tokens") or ()}
        vocabulary = dict(model["vocab"]) | {piece: each["id"] for piece, each in added.items()}
        if model["type"] == "WordPiece":
            normalizer = whole["normalizer"]
            named = {"do_lower_case": "lowercase", "tokenize_chinese_chars": "handle_chinese_chars"}
            for key in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
                flags.setdefault(key, normalizer[named.get(key, key)])
            return _wordpiece(vocabulary, flags, path)
        mask = _special(flags, BYTEPAIR, vocabulary, path).mask
        flags["mask_token"] = added.get(mask, mask)
        merges = [tuple(each.split(" ")) if isinstance(each, str) else tuple(each) for each in model["merges"]]
        return _bytepair(vocabulary, merges, flags, path)
    if (path := folder / "vocab.txt").is_file():
        return read_pieces(path, flags)
    if (path := folder / "vocab.json").is_file():
        return read_merges(path, folder / "merges.txt", flags)
    raise UserError("no vocabulary is here", where=str(folder), remedy=f"Put the checkpoint's own beside it: {FILES}.")


def read_pieces(path: Path, flags: dict[str, Any]) -> Subwords:
    """WordPiece from a file with one piece a line; flags as in tokenizer_config.json."""
    lines = path.read_text(encoding="utf-8").split("\n")
    pieces = lines[:-1] if lines[-1] == "" else lines
    return _wordpiece({piece: index for index, piece in enumerate(pieces)}, flags, path)


def read_merges(path: Path, merges: Path, flags: dict[str, Any]) -> Subwords:
    """Byte-level BPE from a JSON file of ids and a text file of merges; flags as in tokenizer_config.json."""
    vocabulary = read_json(path, f"Put the checkpoint's own beside it: {FILES}.")
    if not merges.is_file():
        raise UserError("this file is missing", where=str(merges), remedy=f"Put the checkpoint's own there: {FILES}.")
    rows = merges.read_text(encoding="utf-8").split("\n")
    return _bytepair(
        vocabulary, [tuple(row.split(" ")) for row in rows if row and not row.startswith("#version")], flags, path
    )


def most_pieces(folder: Path) -> int:
    """Pieces that the checkpoint's tokenizer lets through; 0 where it does not say."""
    most = _flags(folder).get("model_max_length", 0)
    return int(most) if isinstance(most, int | float) and 0 < most < 1e6 else 0  # 1e30 stands for no bound


def _flags(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            found |= read_json(folder / name)
    return found


def _checked(whole: dict[str, Any], path: Path) -> dict[str, Any]:
    model = whole.get("model") or {}
    kind = model.get("type")
    if kind not in PARTS:
        remedy = f"Read are {' and byte-level '.join(PARTS)}."
        raise UserError(f'a tokenizer of the kind "{kind}"', where=str(path), remedy=remedy)
    for part, allowed in PARTS[kind].items():
        there = (whole.get(part) or {}).get("type")
        if there != allowed:
            raise UserError(f"its {part} is {there}, not {allowed}; it would cut texts in another way", where=str(path))
    prefix = model.get("continuing_subword_prefix") or ""
    if prefix != ("##" if kind == "WordPiece" else ""):
        raise UserError(f'pieces within a word begin with "{prefix}", which is not supported', where=str(path))
    for part, option, usual in OPTIONS[kind]:
        there = (whole.get(part) or {}).get(option, usual)
        if there != usual and (there or usual):  # null and 0 stand for what is not done, as false does
            problem = f"{option} = {json.dumps(there)} of its {part} is not supported"
            raise UserError(problem, where=str(path), remedy="It would cut texts in another way.")
    return model


def _check_added(folder: Path, special: Special) -> None:
    """Refuses added tokens, which are found in a text before it is cut, beside the special pieces."""
    files = ("added_tokens.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json")
    for path in (folder / name for name in files if (folder / name).is_file()):
        content = read_json(path)
        added = content if path.name == files[0] else content.get("added_tokens") or ()
        listed = [*added, *(content.get("additional_special_tokens") or ())]
        listed += (content.get("added_tokens_decoder") or {}).values()
        if others := sorted({_content(each) for each in listed} - {*asdict(special).values()}):
            shown = ", ".join(others[:SHOWN]) + (", …" if len(others) > SHOWN else "")
            raise UserError(f"added tokens beside the special ones are not supported: {shown}", where=str(path))


def _content(token: str | dict[str, Any]) -> str:
    return str(token["content"]) if isinstance(token, dict) else token


def _special(flags: dict[str, Any], usual: dict[str, str], vocabulary: dict[str, int], path: Path) -> Special:
    from zoo.preprocessing.subwords import Special

    found = {}
    for role, name in usual.items():
        found[role] = _content(flags.get(KEYS[role]) or name)
        if found[role] not in vocabulary:
            raise UserError(f'the vocabulary has no {KEYS[role]} "{found[role]}"', where=str(path))
    return Special(**found)


def _in_order(vocabulary: dict[str, int], path: Path) -> list[str]:
    """The pieces by their ids, 0 to the last without a gap."""
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise UserError(f"the ids of its {len(vocabulary):,} pieces are not 0, 1, … without a gap", where=str(path))
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _wordpiece(vocabulary: dict[str, int], flags: dict[str, Any], path: Path) -> Subwords:
    from zoo.preprocessing.wordpiece import WordPiece

    return WordPiece.from_vocabulary(
        _in_order(vocabulary, path),
        lowercase=bool(flags.get("do_lower_case", True)),
        strip_accents=flags.get("strip_accents"),
        cjk=bool(flags.get("tokenize_chinese_chars", True)),
        special=_special(flags, WORDPIECE, vocabulary, path),
    )


def _bytepair(vocabulary: dict[str, int], merges: list[tuple[str, ...]], flags: dict[str, Any], path: Path) -> Subwords:
    from zoo.preprocessing.bytepair import BytePair

    _in_order(vocabulary, path)
    torn = next((" ".join(merge) for merge in merges if len(merge) != 2), None)
    if torn is not None:
        raise UserError(f'"{torn}" is no merge of two pieces', where=str(path))
    if flags.get("add_prefix_space"):
        raise UserError("a blank before each text (add_prefix_space) is not supported", where=str(path))
    mask = flags.get("mask_token")
    return BytePair.from_files(
        vocabulary,
        [(first, second) for first, second in merges],
        special=_special(flags, BYTEPAIR, vocabulary, path),
        mask_takes_blanks=bool(mask.get("lstrip")) if isinstance(mask, dict) else True,  # as RoBERTa's own
    )


def write_subwords(subwords: Any, folder: Path, most: int) -> None:
    """Writes the files by which AutoTokenizer gives the same ids.

    Args:
        most: positions of the model.
    """
    subwords.save(folder)
    (folder / f"{subwords.kind}.json").unlink()  # what zoo itself reads, and no one else
    special = asdict(subwords.special)
    fields: dict[str, Any] = {theirs: special[ours] for ours, theirs in KEYS.items()}
    if subwords.kind == "wordpiece":
        fields |= {"tokenizer_class": "BertTokenizer", "do_lower_case": subwords.lowercase}
        fields |= {"strip_accents": subwords.strip_accents, "tokenize_chinese_chars": subwords.cjk}
    else:
        fields |= {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False}
        fields |= {"bos_token": special["start"], "eos_token": special["end"]}
        mask = {"content": special["mask"], "lstrip": subwords.mask_takes_blanks, "rstrip": False}
        fields["mask_token"] = {"__type": "AddedToken", **mask, "normalized": False, "single_word": False}
    fields["model_max_length"] = most
    (folder / "tokenizer_config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
