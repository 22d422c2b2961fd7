"""What the tasks over a text encoder share: `check` tells of a freeze what building the model would."""

import pytest

from tests.tasks.encoders import SMALL, made
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("task", "pooler", "freeze", "told"),
    [
        ("embed", "mean", "encoder", "nothing that learns stands above"),
        ("embed", "cls", 1, "nothing that learns stands above"),
        ("embed", "mean", "embeddings", None),
        ("embed", "cls_dense", "encoder", None),
        ("score_pair", "mean", "encoder", None),
        ("score_pair", "mean", 2, "2 blocks are to be frozen, and the model has 1"),
    ],
)
def test_a_freeze_is_told_before_a_model_is_built(task, pooler, freeze, told):
    task = made(task, model={**SMALL, "pooler": pooler}, training={"freeze": freeze})
    if told is None:
        task.check()
        assert task.build_model(1).trainable_variables
        return
    for attempt in (task.check, lambda: task.build_model(1)):
        with pytest.raises(UserError, match=told) as caught:
            attempt()
        assert caught.value.where == "[training] freeze"
