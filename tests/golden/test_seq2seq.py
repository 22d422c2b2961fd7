from tests.arrays import assert_near
from tests.golden import seq2seq


def test_the_golden_model_answers_as_ever():
    config, golden = seq2seq.read()
    model = seq2seq.rebuild(config, seq2seq.part(golden, "weights"))
    logits, greedy, _ = seq2seq.answer(model, seq2seq.part(golden, "inputs"))
    assert_near(logits, golden["logits"], 1e-4)
    assert (greedy == golden["greedy"]).all()


def test_the_golden_file_is_small():
    assert seq2seq.FILE.stat().st_size < 200_000
