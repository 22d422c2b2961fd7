import keras
import numpy as np
import pytest

from tests.arrays import array, assert_near, normal
from zoo.layers.embeddings import TokenEmbedding


@pytest.fixture(scope="module")
def embedding() -> TokenEmbedding:
    layer = TokenEmbedding(5000, 16, keras.random.SeedGenerator(1))
    layer.build()
    return layer


def test_one_matrix_gives_vectors_and_logits(embedding: TokenEmbedding):
    (table,) = (array(w) for w in embedding.trainable_variables)
    ids, x = np.array([[3, 4999, 3]], "int32"), normal(2, 3, 16)
    assert_near(embedding(ids), 4 * table[ids])
    assert_near(embedding.logits(keras.ops.convert_to_tensor(x)), x @ table.T)


def test_vectors_begin_with_the_size_of_positions_and_logits_with_that_of_the_input(embedding: TokenEmbedding):
    table = array(embedding.table)
    assert table.std() == pytest.approx(16**-0.5, rel=0.02)
    assert (normal(50, 16) @ table.T).std() == pytest.approx(1.0, rel=0.1)


def test_with_a_deviation_vectors_are_taken_as_they_are():
    layer = TokenEmbedding(5000, 16, keras.random.SeedGenerator(1), deviation=0.02)
    layer.build()
    table, ids = array(layer.table), np.array([[3, 4999, 3]], "int32")
    assert (array(layer(ids)) == table[ids]).all()
    assert table.std() == pytest.approx(0.02 * 0.88, rel=0.02)  # cut at twice the deviation
    assert np.abs(table).max() <= 0.04
