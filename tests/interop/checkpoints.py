"""Tiny checkpoints with random weights, as transformers saves them, and what transformers computes with them.

tests/interop/recorded holds four of them, so that the tests of reading need neither PyTorch nor transformers. To write
them anew (transformers 5.23, PyTorch 2.13):

    python -m tests.interop.checkpoints
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

RECORDED = Path(__file__).parent / "recorded"
EXPECTED = "expected.safetensors"
needs_bytepair = pytest.mark.skipif(not find_spec("zoo.preprocessing.bytepair"), reason="needs byte pairs")
TEXTS = ["The cat sat on the mat.", "Étage: a CAT?! 你好", "", "on a mat the dog sat"]
WORDS = ["the", "cat", "sat", "on", "mat", "a", "dog"]
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(mark + letter for mark in ("", "##") for letter in "abcdeghmnost.,:?!你"),
    *(word for word in WORDS if len(word) > 1),
]
MERGES = ["t h", "th e", "Ġ c", "a t", "Ġ the", "Ġ a", "o n"]
SIZES = {"layers": 2, "width": 8, "heads": 2, "feedforward": 12, "positions": 24}
LABELS = {"classify": ["low", "middle", "high"], "tokens": ["O", "B-X", "I-X", "B-Y"]}
MODELS = {
    "pool": "Model",
    "classify": "ForSequenceClassification",
    "tokens": "ForTokenClassification",
    "span": "ForQuestionAnswering",
    "masked_words": "ForMaskedLM",
    "pretraining": "ForPreTraining",
}


def save_vocabulary(kind, folder, fast=False):
    """vocab.txt, or vocab.json and merges.txt; with `fast` a tokenizer.json instead."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    if kind == "roberta":
        from tokenizers.pre_tokenizers import ByteLevel

        pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet())]
        pieces += [merge.replace(" ", "") for merge in MERGES] + ["<mask>"]
        ids = {piece: index for index, piece in enumerate(pieces)}
        (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n", encoding="utf-8")
        size, names = len(pieces), ("vocab.json", "merges.txt")
    else:
        (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
        size, names = len(PIECES), ("vocab.txt",)
    usual = {"roberta": "RobertaTokenizer"}.get(kind, "BertTokenizer")
    if fast:
        getattr(transformers, usual).from_pretrained(folder).save_pretrained(folder)
        for name in names:
            (folder / name).unlink()
    else:
        flags = {"tokenizer_class": usual, "model_max_length": SIZES["positions"] - 2}
        if kind == "roberta":  # transformers 4 made it so by itself, 5 does not
            flags["mask_token"] = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False}
            flags["mask_token"] |= {"normalized": False, "single_word": False}
        text = json.dumps(flags)
        (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
    return size


def make(kind, head, vocabulary, seed=0, **fields):
    """A model of transformers whose every weight is random, norms and biases too."""
    import torch
    import transformers

    like_bert = {
        "hidden_size": SIZES["width"], "num_hidden_layers": SIZES["layers"], "num_attention_heads": SIZES["heads"],
        "intermediate_size": SIZES["feedforward"], "type_vocab_size": 1 if kind == "roberta" else 2,
    }  # fmt: skip
    distilled = {
        "dim": SIZES["width"], "n_layers": SIZES["layers"], "n_heads": SIZES["heads"],
        "hidden_dim": SIZES["feedforward"],
    }  # fmt: skip
    fields = {**(distilled if kind == "distilbert" else like_bert), **fields}
    names = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[kind]
    if head in LABELS:
        fields["id2label"] = dict(enumerate(LABELS[head]))
    config = getattr(transformers, f"{names}Config")(
        vocab_size=vocabulary, max_position_embeddings=SIZES["positions"], pad_token_id=int(kind == "roberta"), **fields
    )
    torch.manual_seed(seed)
    model = getattr(transformers, names + MODELS[head])(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(1.0 if "orm.weight" in name else 0.0, 0.4)
    return model


def inputs(vocabulary, kind, seed=0):
    """ids, mask, segments [3, 9] with rows of different lengths, padding to the right."""
    rng = np.random.default_rng(seed)
    mask = np.arange(9) < np.array([[9], [4], [1]])
    ids = np.where(mask, rng.integers(5, vocabulary, (3, 9)), int(kind == "roberta"))
    segments = np.where(mask & (np.arange(9) > 2), int(kind == "bert"), 0)
    return {"ids": ids.astype("int32"), "mask": mask, "segments": segments.astype("int32")}


def outputs(model, given):
    """What transformers computes: last hidden states, and the output of the head where there is one."""
    import torch

    fed = {"input_ids": torch.tensor(given["ids"]).long(), "attention_mask": torch.tensor(given["mask"]).long()}
    if model.config.model_type != "distilbert":
        fed["token_type_ids"] = torch.tensor(given["segments"]).long()
    with torch.no_grad():
        found = model(**fed, output_hidden_states=True)
    head = None
    if "start_logits" in found:
        head = torch.stack([found.start_logits, found.end_logits], -1)
    for name in ("logits", "prediction_logits", "pooler_output"):
        head = found[name] if head is None and name in found else head
    hidden = found.hidden_states[-1].numpy()
    return {"hidden": hidden, "output": hidden if head is None else head.numpy()}


def record(kind, head, folder, save, fast=False):
    """A recorded checkpoint and beside it, in one file, inputs, outputs, and the ids of TEXTS."""
    import transformers
    from safetensors.numpy import save_file

    shutil.rmtree(folder, ignore_errors=True)
    size = save_vocabulary(kind, folder, fast)
    model = make(kind, head, size)
    given = inputs(size, kind)
    save(model, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pieces = {f"text_{index}": np.array(tokenizer(text)["input_ids"], "int32") for index, text in enumerate(TEXTS)}
    save_file({**given, **outputs(model, given), **pieces}, folder / EXPECTED)


def save_sentences(model, folder):
    """sentence-transformers: mean over the pieces, then length 1."""
    model.save_pretrained(folder)
    write = {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": 16, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": SIZES["width"], "pooling_mode_mean_tokens": True},
    }
    (folder / "1_Pooling").mkdir()
    for name, content in write.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def save_old(model, folder):
    """As the first BERT checkpoints are: the older pickle, gamma and beta, copies of tied weights, position_ids."""
    import torch

    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in model.state_dict().items()
    }
    state["bert.embeddings.position_ids"] = torch.arange(SIZES["positions"])[None]
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def save_sharded(model, folder):
    """Several files and their index."""
    model.save_pretrained(folder, max_shard_size="6KB")


def save_plain(model, folder):
    """One file of safetensors."""
    model.save_pretrained(folder)


if __name__ == "__main__":
    record("bert", "pool", RECORDED / "bert-sentences", save_sentences)
    record("bert", "pretraining", RECORDED / "bert-pretraining", save_old)
    record("roberta", "classify", RECORDED / "roberta-classify", save_sharded)
    record("distilbert", "tokens", RECORDED / "distilbert-tokens", save_plain, fast=True)
