"""Checkpoints of transformers in and out: recorded folders with what transformers computed, and what is refused."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.arrays import array, assert_near
from tests.interop.checkpoints import EXPECTED, LABELS, RECORDED, TEXTS, needs_bytepair
from zoo.errors import UserError
from zoo.interop.huggingface import read, write
from zoo.models.bert import Bert

ROBERTA = pytest.param("roberta-classify", marks=needs_bytepair)
NAMES = ("bert-sentences", "bert-pretraining", "roberta-classify", "distilbert-tokens")
ALL = [ROBERTA if name == "roberta-classify" else name for name in NAMES]


def built(imported):
    """The model with the weights of an import, each of which it has to have."""
    model = Bert(imported.config)
    variables = {variable.path: variable for variable in model.weights}
    assert variables.keys() == imported.weights.keys()
    for path, value in imported.weights.items():
        variables[path].assign(value)
    return model


def copied(name, folder):
    shutil.copytree(RECORDED / name, folder, dirs_exist_ok=True)
    return folder


def changed(path, change):
    """Rewrites a JSON file, or a safetensors file, as `change` leaves its content."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    else:
        content = load_file(path)
        change(content)
        save_file(content, path)


@pytest.mark.parametrize("name", ALL)
def test_hidden_states_and_answers_are_those_of_transformers(name):
    expected = load_file(RECORDED / name / EXPECTED)
    given = {key: expected[key] for key in ("ids", "mask", "segments")}
    imported = read(RECORDED / name)
    model, real = built(imported), given["mask"]
    assert_near(array(model.hidden(given))[real], expected["hidden"][real])
    if imported.config.head == "pool":
        sums = (expected["hidden"] * real[:, :, None]).sum(axis=1)
        assert_near(array(model(given)), sums / real.sum(axis=1, keepdims=True))
    elif imported.config.head == "classify":
        assert_near(array(model(given)), expected["output"])
    else:
        assert_near(array(model(given))[real], expected["output"][real])


@pytest.mark.parametrize("name", ALL)
def test_texts_become_the_ids_of_the_checkpoints_own_tokenizer(name):
    subwords, expected = read(RECORDED / name).subwords, load_file(RECORDED / name / EXPECTED)
    for index, text in enumerate(TEXTS):
        np.testing.assert_array_equal(subwords.pack(subwords.encode(text)).ids, expected[f"text_{index}"], err_msg=text)


@needs_bytepair
def test_what_a_checkpoint_is_comes_with_it():
    found = {name: read(RECORDED / name) for name in NAMES}
    assert {name: each.task for name, each in found.items()} == {
        "bert-sentences": "embed",
        "bert-pretraining": "fill_mask",
        "roberta-classify": "classify_text",
        "distilbert-tokens": "tag",
    }
    assert found["roberta-classify"].labels == LABELS["classify"]
    assert found["distilbert-tokens"].labels == LABELS["tokens"]
    sentences, pretraining = found["bert-sentences"], found["bert-pretraining"].about
    assert sentences.config.pooler == "mean"
    assert (sentences.about["max_length"], sentences.about["normalize"]) == (16, True)
    assert sentences.about["left_out"] == ["pooler.dense.bias", "pooler.dense.weight"]
    assert pretraining["architecture"] == "BertForPreTraining"
    assert pretraining["left_out"] == [
        *("bert.pooler.dense.bias", "bert.pooler.dense.weight"),
        *("cls.seq_relationship.bias", "cls.seq_relationship.weight"),
    ]
    assert found["roberta-classify"].config.position_offset == 2
    assert len(found["roberta-classify"].about["files"]) == 2


def test_of_a_pretrained_checkpoint_the_encoder_alone_may_be_taken():
    imported = read(RECORDED / "bert-pretraining", "embed")
    assert (imported.task, imported.config.head, imported.config.pooler) == ("embed", "pool", "cls_dense")
    assert "bert/pooler/dense/kernel" in imported.weights
    assert "cls.predictions.transform.dense.weight" in imported.about["left_out"]
    built(imported)
    with pytest.raises(UserError, match='is for the task "fill_mask", not "tag"') as caught:
        read(RECORDED / "bert-pretraining", "tag")
    assert "--from" in caught.value.remedy


@pytest.mark.parametrize("name", ALL)
def test_out_and_in_again_is_the_identity(tmp_path, name):
    first = read(RECORDED / name)
    write(built(first), first.subwords, tmp_path / "out", first.labels)
    again = read(tmp_path / "out")
    assert (again.config, again.labels, again.task) == (first.config, first.labels, first.task)
    assert again.weights.keys() == first.weights.keys()
    for path, value in first.weights.items():
        np.testing.assert_array_equal(again.weights[path], value, err_msg=path)
    for text in TEXTS:
        np.testing.assert_array_equal(again.subwords.encode(text), first.subwords.encode(text))
    assert again.subwords.pad_id == first.subwords.pad_id and again.about["left_out"] == []
    with pytest.raises(UserError, match="there already"):
        write(built(first), first.subwords, tmp_path / "out", first.labels)


def test_a_head_for_the_order_of_segments_goes_out_with_that_of_the_words(tmp_path):
    imported = read(RECORDED / "bert-pretraining")
    model = Bert(replace(imported.config, order=True), seed=3)
    write(model, imported.subwords, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    np.testing.assert_array_equal(stored["cls.seq_relationship.weight"], array(model.head.order.kernel).T)
    np.testing.assert_array_equal(stored["bert.pooler.dense.weight"], array(model.pooler.dense.kernel).T)
    again = read(tmp_path / "out")
    assert (again.about["architecture"], again.config) == ("BertForPreTraining", imported.config)
    order = [f"cls.seq_relationship.{part}" for part in ("bias", "weight")]
    assert again.about["left_out"] == [*(f"bert.pooler.dense.{part}" for part in ("bias", "weight")), *order]
    other = Bert(replace(imported.config, order=True, pooler="mean"))
    with pytest.raises(UserError, match="no head for the order"):
        write(other, imported.subwords, tmp_path / "other")


def test_every_tensor_is_used_once_or_the_list_is_told(tmp_path):
    folder = copied("distilbert-tokens", tmp_path)

    def change(tensors):
        del tensors["distilbert.transformer.layer.1.ffn.lin1.bias"], tensors["classifier.weight"]
        tensors["distilbert.transformer.layer.2.ffn.lin1.bias"] = np.zeros(12, "float32")
        tensors["strange"] = np.zeros(1, "float32")

    changed(folder / "model.safetensors", change)
    with pytest.raises(UserError) as caught:
        read(folder)
    assert "missing: classifier.weight, distilbert.transformer.layer.1.ffn.lin1.bias;" in caught.value.problem
    assert "not used: distilbert.transformer.layer.2.ffn.lin1.bias, strange" in caught.value.problem
    assert caught.value.where == str(folder / "model.safetensors")


def set_tensor(name, value):
    return lambda tensors: tensors.update({name: np.asarray(value)})


@pytest.mark.parametrize(
    "change, told",
    [
        (set_tensor("embeddings.position_ids", np.arange(24)[None] + 1), "position_ids does not count 0, 1, …"),
        (set_tensor("embeddings.token_type_ids", np.ones((1, 24), int)), "token_type_ids does not count 0, 0, …"),
        (set_tensor("pooler.dense.weight", np.zeros((8, 9), "f4")), r"\(8, 9\); by config.json it must be \(8, 8\)"),
        (set_tensor("embeddings.LayerNorm.weight", np.zeros(9, "f4")), r"LayerNorm.weight has the shape \(9,\)"),
        (set_tensor("embeddings.LayerNorm.weight", np.zeros(8, "i1")), "holds int8; quantised weights are not read"),
    ],
)
def test_what_is_taken_for_something_is_checked_to_be_it(tmp_path, change, told):
    folder = copied("bert-sentences", tmp_path)
    changed(folder / "model.safetensors", change)
    with pytest.raises(UserError, match=told) as caught:
        read(folder)
    assert caught.value.where == str(folder / "model.safetensors")


def test_counts_of_older_versions_are_known(tmp_path):
    folder = copied("bert-sentences", tmp_path)
    changed(folder / "model.safetensors", set_tensor("embeddings.position_ids", np.arange(24)[None]))
    assert len(read(folder).weights) == len(read(RECORDED / "bert-sentences").weights)


def test_half_precision_is_widened(tmp_path):
    folder = copied("bert-sentences", tmp_path)
    changed(
        folder / "model.safetensors", lambda tensors: tensors.update({k: v.astype("f2") for k, v in tensors.items()})
    )
    found, whole = read(folder).weights, read(RECORDED / "bert-sentences").weights
    assert {value.dtype for value in found.values()} == {np.dtype("float32")}
    for path, value in whole.items():
        np.testing.assert_array_equal(found[path], value.astype("f2").astype("f4"))


def drop(*names):
    return lambda fields: [fields.pop(name) for name in names]


def put(**values):
    return lambda fields: fields.update(values)


@needs_bytepair
@pytest.mark.parametrize(
    "change, told",
    [
        (drop("model_type"), "it has no model_type"),
        (put(model_type="gpt2"), 'the architecture "gpt2" is not one that is read'),
        (put(architectures=["RobertaForMultipleChoice"]), "RobertaForMultipleChoice"),
        (put(architectures=["BertModel"]), "BertModel"),
        (put(position_embedding_type="relative_key"), "position_embedding_type = 'relative_key' is not supported"),
        (put(is_decoder=True), "is_decoder = True is not supported"),
        (put(add_cross_attention=True), "add_cross_attention"),
        (put(pruned_heads={"1": [0]}), "pruned_heads"),
        (put(quantization_config={"bits": 8}), "quantization_config"),
        (put(hidden_act="silu"), "hidden_act = 'silu' is not supported"),
        (drop("hidden_size"), "it has no hidden_size"),
        (put(num_hidden_layers="two"), "num_hidden_layers must be a whole number, not 'two'"),
        (put(num_attention_heads=3), "num_attention_heads: 3 heads do not divide the width 8"),
        (put(vocab_size=9), "has 268 pieces, vocab_size in config.json is 9"),
        (put(pad_token_id=0), "padding is 1 in the vocabulary, 0 in config.json"),
        (put(id2label={"0": "a", "2": "b"}), "id2label must name the outputs"),
        (put(id2label={"0": "a", "1": "b"}), r"classifier.out_proj.\w+ has the shape \(3"),
        (put(problem_type="ranking"), 'problem_type = "ranking" is not known'),
        (put(problem_type="regression"), "regression with 3 outputs is not supported"),
        (put(type_vocab_size=0), "type_vocab_size = 0"),
    ],
)
def test_a_config_that_is_not_supported_is_named_with_its_key(tmp_path, change, told):
    folder = copied("roberta-classify", tmp_path)
    changed(folder / "config.json", change)
    with pytest.raises(UserError, match=told) as caught:
        read(folder)
    assert str(folder) in caught.value.where


def test_files_that_are_missing_are_named(tmp_path):
    with pytest.raises(UserError, match="this is no folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(UserError, match="this file is missing") as caught:
        read(tmp_path)
    assert caught.value.where == str(tmp_path / "config.json")
    folder = copied("bert-sentences", tmp_path / "a")
    (folder / "vocab.txt").unlink()
    with pytest.raises(UserError, match="no vocabulary is here") as caught:
        read(folder)
    assert "vocab.txt" in caught.value.remedy


@pytest.mark.parametrize(
    "file, change, told",
    [
        (
            "1_Pooling/config.json",
            put(pooling_mode_max_tokens=True),
            "pooling_mode_max_tokens, pooling_mode_mean_tokens",
        ),
        ("1_Pooling/config.json", put(pooling_mode_mean_tokens=False), "pooling by nothing"),
        ("sentence_bert_config.json", put(do_lower_case=True), None),
    ],
)
def test_ways_of_pooling(tmp_path, file, change, told):
    folder = copied("bert-sentences", tmp_path)
    changed(folder / file, change)
    if told is None:  # the tokenizer lowercases anyway
        assert read(folder).task == "embed"
    else:
        with pytest.raises(UserError, match=told) as caught:
            read(folder)
        assert caught.value.where == str(folder / file)


def test_other_modules_and_other_ways_to_cut_texts_are_refused(tmp_path):
    folder = copied("bert-sentences", tmp_path / "a")
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UserError, match="its modules are Transformer, Pooling, Normalize, Dense"):
        read(folder)
    folder = copied("distilbert-tokens", tmp_path / "b")
    for part, value in ("model", {"type": "Unigram"}), ("pre_tokenizer", {"type": "Metaspace"}), ("normalizer", None):
        changed(folder / "tokenizer.json", put(**{part: value}))
        with pytest.raises(UserError, match='of the kind "Unigram"' if part == "model" else part):
            read(folder)
        shutil.copy(RECORDED / "distilbert-tokens" / "tokenizer.json", folder)


@pytest.mark.parametrize(
    "file, change, told",
    [
        ("tokenizer.json", lambda fields: fields["added_tokens"].append({"id": 47, "content": "<x>"}), "ones .*: <x>"),
        ("tokenizer.json", lambda fields: fields["model"].update(max_input_chars_per_word=7), "per_word = 7 of its mo"),
        ("tokenizer.json", lambda fields: fields["normalizer"].update(clean_text=False), "clean_text = false"),
        ("added_tokens.json", put(**{"<x>": 40, "[MASK]": 4}), "special ones are not supported: <x>$"),
        ("tokenizer_config.json", put(added_tokens_decoder={"40": {"content": "<x>"}}), ": <x>$"),
        ("special_tokens_map.json", put(additional_special_tokens=["<x>", "[SEP]"]), ": <x>$"),
    ],
)
def test_what_of_a_tokenizer_would_change_ids_is_refused(tmp_path, file, change, told):
    folder = copied("distilbert-tokens", tmp_path)
    if not (folder / file).is_file():
        (folder / file).write_text("{}")
    changed(folder / file, change)
    with pytest.raises(UserError) as caught:
        read(folder)
    assert re.search(told, caught.value.problem) and caught.value.where.startswith(str(folder / file))


@needs_bytepair
@pytest.mark.parametrize(
    "part, option, value",
    [
        ("pre_tokenizer", "use_regex", False),
        ("pre_tokenizer", "add_prefix_space", True),
        ("model", "ignore_merges", True),
        ("model", "byte_fallback", True),
        ("model", "dropout", 0.1),
        (None, None, None),
    ],
)
def test_what_of_a_bytepair_tokenizer_would_change_ids_is_refused(tmp_path, part, option, value):
    folder = copied("roberta-classify", tmp_path)
    merges = (folder / "merges.txt").read_text().split("\n")
    whole = {
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "ignore_merges": False,
            "byte_fallback": False,
            "vocab": json.loads((folder / "vocab.json").read_text()),
            "merges": [each for each in merges if each and not each.startswith("#version")],
        },
    }
    if part is not None:
        whole[part][option] = value
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    if part is None:
        assert read(folder).subwords.fingerprint == read(RECORDED / "roberta-classify").subwords.fingerprint
    else:
        with pytest.raises(UserError, match=f"{option} = {json.dumps(value)} of its {part}") as caught:
            read(folder)
        assert caught.value.where == str(folder / "tokenizer.json")


@needs_bytepair
def test_a_model_that_transformers_has_not_is_not_written(tmp_path):
    imported = read(RECORDED / "roberta-classify")
    fields = {name: getattr(imported.config, name) for name in imported.config.__dataclass_fields__}
    for name, value in ("pooler", "mean"), ("head_hidden", "relu"), ("norm", "pre"), ("embedding_norm", False):
        model = Bert(type(imported.config)(**{**fields, name: value}))
        with pytest.raises(UserError, match=f"{name} = .* has no place in a RobertaForSequenceClassification"):
            write(model, imported.subwords, tmp_path / "out", imported.labels)
    with pytest.raises(UserError, match="0 labels for 3 outputs"):
        write(built(imported), imported.subwords, tmp_path / "out")
    assert not list(tmp_path.iterdir())
