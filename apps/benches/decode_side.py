"""One side of `bench decode`, in a process of its own: loads once, then answers each line of its standard input.

    python -m apps.benches.decode_side '{"side": "zoo", "folder": …, "texts": …, "beam": 4, "threads": 1, "calls": 1}'

A line asks for {"batch": rows, "count": texts} and is answered by {"seconds": …, "peak_mb": …, "answers": […]}. Both
sides get strings, sorted by length, and give strings: tokenizing is part of the time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apps.benches.sides import Answer, answer_lines


def zoo(spec: dict[str, Any]) -> Answer:
    """The exported SavedModel; `calls` requests at the same time, as a server has them."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops)

    tf.config.threading.set_intra_op_parallelism_threads(spec["threads"] // spec["calls"])
    tf.config.threading.set_inter_op_parallelism_threads(spec["calls"])
    served = tf.saved_model.load(f"{spec['folder']}/zoo_{spec['beam']}")
    signature = served.signatures["serving_default"]

    def ask(batch: list[str]) -> list[str]:
        return [answer.decode("utf-8") for answer in signature(text=tf.constant(batch))["text"].numpy()]

    def answer(batches: list[list[str]]) -> list[str]:
        assert served  # which holds the variables of the signature
        if spec["calls"] == 1:
            return [each for batch in batches for each in ask(batch)]
        return [each for answers in pool.map(ask, batches) for each in answers]

    pool = ThreadPoolExecutor(spec["calls"])
    return answer


def ctranslate2(spec: dict[str, Any]) -> Answer:
    """CTranslate2 on the same weights, with the sentencepiece library; `calls` batches at the same time."""
    import ctranslate2
    import sentencepiece

    translator = ctranslate2.Translator(
        f"{spec['folder']}/ctranslate2",
        compute_type=spec["side"],
        inter_threads=spec["calls"],
        intra_threads=spec["threads"] // spec["calls"],
    )
    source, target = (
        sentencepiece.SentencePieceProcessor(model_file=f"{spec['folder']}/{side}.spm") for side in ("source", "target")
    )
    lowercase = spec["lowercase"]

    def ask(texts: list[str], rows: int) -> list[str]:
        pieces = source.encode([text.lower() for text in texts] if lowercase else texts, out_type=str)
        longest = int(spec["factor"] * (max(map(len, pieces)) + 1)) + spec["extra"]
        found = translator.translate_batch(
            pieces, max_batch_size=rows, beam_size=spec["beam"], length_penalty=spec["penalty"],
            max_decoding_length=longest,
        )  # fmt: skip
        return target.decode([each.hypotheses[0] for each in found])

    def answer(batches: list[list[str]]) -> list[str]:
        if spec["calls"] == 1:
            return [each for batch in batches for each in ask(batch, len(batch))]
        return ask([text for batch in batches for text in batch], len(batches[0]))  # cuts the same batches itself

    return answer


def start(spec: dict[str, Any]) -> Answer:
    """The side that a spec names."""
    return (zoo if spec["side"] == "zoo" else ctranslate2)(spec)


if __name__ == "__main__":
    answer_lines(start)
