"""What the audit of a SavedModel asks, and what it says where the answer is no."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from zoo.export.stock_ops import SERVER

ERROR, WARNING = "error", "warning"


class Rule(NamedTuple):
    """A question of the audit: what holds where it passes, why that matters and what to do where it does not."""

    holds: str
    severity: str
    why: str
    remedy: str


# In the order in which they are told.
RULES = {
    "op": Rule(
        f"every op is known to stock TensorFlow Serving {SERVER} with TensorFlow Text",
        ERROR,
        "The stock server refuses to load a graph with an op that it does not know.",
        "Write it with ops of TensorFlow or TensorFlow Text, or build a server that has this op.",
    ),
    "python": Rule(
        "no op calls Python",
        ERROR,
        "The server has no Python: the first request that comes here fails.",
        "Write what tf.py_function or tf.numpy_function does with TensorFlow's ops.",
    ),
    "file": Rule(
        "nothing reads or writes files, but tables their own assets",
        ERROR,
        "A path of the machine that exported does not exist on the server, and requests must not touch its disk.",
        "Keep the data in variables, or in a table whose file is an asset (tf.saved_model.Asset).",
    ),
    "network": Rule(
        "nothing sends or receives",
        ERROR,
        "An answer would wait for machines that the server does not know.",
        "Export the graph of one device, without input pipeline and distribution.",
    ),
    "growing": Rule(
        "nothing grows with the requests",
        ERROR,
        "The memory of a server that runs for months fills up, or it waits for a queue for ever.",
        "Compute it anew in each request, or fill the table before the export.",
    ),
    "state": Rule(
        "a request changes no variable",
        ERROR,
        "Answers depend on what others asked before, and requests in parallel overtake each other.",
        "Export the inference function alone (training=False), with stateless random ops.",
    ),
    "xla": Rule(
        "nothing needs XLA or a TPU",
        ERROR,
        "The stock server has XLA switched off: what must be compiled fails at its first request.",
        "Export with jit_compile=False, and not by jax2tf.",
    ),
    "random": Rule(
        "the same request has the same answer",
        WARNING,
        "Answers are drawn at random: no cache, no comparison of two servers.",
        "Fine for sampling. Else use stateless random ops with a fixed seed, or none.",
    ),
    "constant": Rule(
        "weights are variables",
        WARNING,
        "A constant is stored in each function that uses it, and saved_model.pb may hold 2 GB at most.",
        "Keep large arrays in tf.Variable.",
    ),
    "newer": Rule(
        f"it was written by TensorFlow {SERVER.rpartition('.')[0]} or older",
        WARNING,
        "A server that is older than the exporter may not know an attribute of an op.",
        f"Export with TensorFlow {SERVER}.",
    ),
    "signature": Rule(
        "it has signatures that requests can name",
        ERROR,
        "The server finds nothing to call.",
        "Give tf.saved_model.save(…, signatures={'serving_default': function}).",
    ),
    "json": Rule(
        "JSON can carry all inputs and outputs",
        ERROR,
        "The REST API answers with an error, or with text that is none.",
        "Cast to float32, an int or bool; end the name of binary values in _bytes.",
    ),
    "batch": Rule(
        "the first dimension is the batch, and open, everywhere",
        ERROR,
        "The server joins requests along the first dimension and cuts the answers along it.",
        "Declare inputs as tf.TensorSpec([None, …]), and answer a row for each.",
    ),
    "loads": Rule(
        "it loads",
        ERROR,
        "A version that does not load is never served.",
        "Export it anew, and copy the whole folder.",
    ),
    "warm-up": Rule(
        "its warm-up requests are answered",
        ERROR,
        "The server does not serve a version whose warm-up fails.",
        "Write the requests anew: a TFRecord of at most 1,000 PredictionLogs that name a signature and its inputs.",
    ),
    "no-warm-up": Rule(
        "it brings warm-up requests",
        WARNING,
        "The first requests of each signature wait for what is done only once.",
        "Write assets.extra/tf_serving_warmup_requests.",
    ),
    "neighbours": Rule(
        "a row has the same answer in a batch and alone",
        ERROR,
        "With batching on, strangers' requests share a batch and would change each other's answers.",
        "Look for means, sorts or paddings over the first dimension; mask what is padded.",
    ),
    "unproved": Rule(
        "every signature was tried",
        WARNING,
        "Nobody has seen that batching is safe here.",
        "Add two rows or more for this signature to the warm-up requests.",
    ),
    "no-python": Rule(
        "a server without Python answers exactly as Python does",
        ERROR,
        "TensorFlow Serving loads it in the same way.",
        "Ask it with the program in zoo/export/loader, which shows the error.",
    ),
    "not-replayed": Rule(
        "a loader without Python was there",
        WARNING,
        "What differs from Python, such as an op that registers itself on import, was not looked for.",
        "Install a C++ compiler and audit again.",
    ),
}
# What the graph alone cannot tell.
BY_RUNNING = ("loads", "warm-up", "no-warm-up", "neighbours", "unproved", "no-python", "not-replayed")


@dataclass(frozen=True)
class Finding:
    """Something that speaks against serving a SavedModel.

    Attributes:
        rule: which one of RULES.
        what: is wrong, as a sentence without its end.
        where: function and node, signature and name, or file.
    """

    rule: str
    what: str
    where: str

    @property
    def severity(self) -> str:
        """ "error" where the audit fails by it, else "warning"."""
        return RULES[self.rule].severity

    def as_json(self) -> dict[str, str]:
        """All that is to be said, as plain values."""
        rule = RULES[self.rule]
        return {"severity": rule.severity, **asdict(self), "why": rule.why, "remedy": rule.remedy}
