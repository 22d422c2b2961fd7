"""One side of `bench decode`, in a process of its own: loads once, then answers each line of its standard input.

    python -m apps.benches.decode_side '{"side": "zoo", "folder": …, "texts": …, "beam": 4, "threads": 1, "calls": 1}'

A line asks for {"batch": rows, "count": texts} and is answered by {"seconds": …, "peak_mb": …, "answers": […]}. Both
sides get strings, sorted by length, and give strings: tokenizing is part of the time.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Answer = Callable[[list[list[str]]], list[str]]  # batches of texts -> answers, in order


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


def peak_megabytes() -> int:
    """The most memory that this process had. On Linux getrusage would also count the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text()).group(1)) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2


def main() -> None:
    """Answers the lines of standard input until it ends."""
    spec = json.loads(sys.argv[1])
    if spec["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {spec["core"]})
    answer = (zoo if spec["side"] == "zoo" else ctranslate2)(spec)
    texts = json.loads(Path(spec["texts"]).read_text(encoding="utf-8"))
    for line in sys.stdin:
        asked = json.loads(line)
        chosen, rows = sorted(texts[: asked["count"]], key=len), asked["batch"]
        batches = [chosen[first : first + rows] for first in range(0, len(chosen), rows)]
        started = time.perf_counter()
        answers = answer(batches)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "peak_mb": peak_megabytes(), "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
