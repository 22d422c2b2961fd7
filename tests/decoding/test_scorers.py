import numpy as np
from keras import ops

from zoo.decoding.scorers import ModelScorer


class Echo:
    """A model whose logits are its memory."""

    def start(self, memory, batch, length):
        return {"seen": ops.zeros((batch, length), "int32")}

    def step(self, tokens, position, memory, cache):
        return memory, {"seen": tokens}


def test_log_probabilities_of_a_bfloat16_model_are_float32():
    logits = np.linspace(-9, 9, 64, dtype="float32").reshape(2, 1, 32)  # [R, K, V]
    rounded = ops.cast(logits, "bfloat16")
    scorer = ModelScorer(Echo(), rounded)
    tokens = np.zeros((2, 1), "int32")
    found, state = scorer.score(tokens, np.zeros(2, "int32"), scorer.start(2, 4))
    exact = ops.convert_to_numpy(ops.cast(rounded, "float32")).astype("float64")
    exact -= np.log(np.exp(exact).sum(-1, keepdims=True))
    np.testing.assert_allclose(ops.convert_to_numpy(found), exact, rtol=1e-6)
    assert state["seen"] is tokens
