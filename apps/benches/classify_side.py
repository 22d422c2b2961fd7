"""One side of `bench classify`, in a process of its own: see `apps.benches.sides`."""

from __future__ import annotations

from typing import Any

from apps.benches.sides import Answer, answer_lines


def zoo(spec: dict[str, Any]) -> Answer:
    """The exported SavedModel."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops)

    tf.config.threading.set_intra_op_parallelism_threads(spec["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    served = tf.saved_model.load(f"{spec['folder']}/zoo")
    signature = served.signatures["serving_default"]

    def answer(batches: list[list[str]]) -> list[str]:
        assert served  # which holds the variables of the signature
        found = [signature(text=tf.constant(batch))["label"].numpy() for batch in batches]
        return [label.decode("utf-8") for labels in found for label in labels]

    return answer


def transformers(spec: dict[str, Any]) -> Answer:
    """transformers on PyTorch on the same weights, with its fast tokenizer."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(spec["threads"])
    model = AutoModelForSequenceClassification.from_pretrained(f"{spec['folder']}/peer").eval()
    tokenizer = AutoTokenizer.from_pretrained(f"{spec['folder']}/peer")
    labels, most = model.config.id2label, spec["most"]

    @torch.inference_mode()
    def answer(batches: list[list[str]]) -> list[str]:
        found = []
        for batch in batches:
            inputs = tokenizer(batch, padding=True, truncation=True, max_length=most, return_tensors="pt")
            found += [labels[index] for index in model(**inputs).logits.argmax(dim=1).tolist()]
        return found

    return answer


def onnxruntime(spec: dict[str, Any]) -> Answer:
    """ONNX Runtime on the same weights, by its own fused kernels, behind the fast tokenizer of transformers."""
    import onnxruntime as runtime
    from transformers import AutoConfig, AutoTokenizer

    peer, most = f"{spec['folder']}/peer", spec["most"]
    options = runtime.SessionOptions()
    options.intra_op_num_threads = spec["threads"]
    session = runtime.InferenceSession(f"{peer}/model.onnx", options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    tokenizer, labels = AutoTokenizer.from_pretrained(peer), AutoConfig.from_pretrained(peer).id2label

    def answer(batches: list[list[str]]) -> list[str]:
        found = []
        for batch in batches:
            inputs = tokenizer(batch, padding=True, truncation=True, max_length=most, return_tensors="np")
            (logits,) = session.run(["logits"], {name: inputs[name].astype("int64") for name in names})
            found += [labels[index] for index in logits.argmax(axis=1).tolist()]
        return found

    return answer


SIDES = {"zoo": zoo, "transformers": transformers, "onnxruntime": onnxruntime}


def start(spec: dict[str, Any]) -> Answer:
    """The side that a spec names."""
    return SIDES[spec["side"]](spec)


if __name__ == "__main__":
    answer_lines(start)
