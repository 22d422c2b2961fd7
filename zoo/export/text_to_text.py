"""The graph of tasks that answer a text with a text: signatures serving_default, n_best, sample and attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from zoo.decoding.choices import Hypotheses, SearchChoices
from zoo.decoding.generate import generate
from zoo.decoding.search import limits_of
from zoo.errors import UserError
from zoo.export.block_weights import is_state
from zoo.export.bundle import Bundle, Exported
from zoo.export.graph_parts import rounded
from zoo.export.search_graph import Search
from zoo.export.seq2seq_graph import Memory, Seq2SeqGraph
from zoo.export.seq2seq_weights import layout, undo_layout
from zoo.models.seq2seq import Seq2Seq
from zoo.tasks.task import Task

CANDIDATES = 5  # that n_best returns where the recipe searches greedily
# Sampling among the ten most probable: varied, and seldom wrong (Edunov et al., 2018, arXiv:1808.09381, section 5.1).
SAMPLED_AMONG = 10
TEXT = [tf.TensorSpec([None], tf.string, name="text")]


def build(bundle: Bundle, storage: str) -> Exported:
    """Makes the graph of a bundle whose model is a Seq2Seq.

    Raises: UserError where the model is of another family or has too few positions, or Keras is not on TensorFlow.
    """
    model = bundle.model
    if keras.config.backend() != "tensorflow":
        raise UserError("an export runs on TensorFlow", remedy="Start it anew with KERAS_BACKEND=tensorflow.")
    if not isinstance(model, Seq2Seq):
        raise UserError(
            f"a text-to-text export of {type(model).__name__} is not known.", remedy="Train a seq2seq model."
        )
    most, decoding = bundle.recipe.export.max_source, bundle.recipe.decoding
    if most > model.config.max_length:
        problem = f"inputs of {most} pieces, and the model has positions for {model.config.max_length}."
        raise UserError(problem, where="[export] max_source", remedy="Set it lower.")
    weights = {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}
    weights = {path: value for path, value in (bundle.weights or weights).items() if not is_state(path)}
    module = TextToText(bundle, layout(weights, model.config), storage)
    names = ("serving_default", "n_best", "sample", "attention")
    choices = dict(zip(names, (module.choices, module.several, module.drawn, module.choices), strict=True))
    return Exported(
        module=module,
        functions={name: getattr(module, name) for name in names},
        settled={name: asdict(chosen) for name, chosen in choices.items()},
        limits={
            "source_pieces": most,
            "target_pieces": f"{decoding.length_factor:g} * source pieces + {decoding.length_extra}, "
            f"at most {model.config.max_length}",
        },
        reference=_Reference(bundle, weights, storage),
        close=frozenset({"text"}),  # of hypotheses with the same score
    )


def weights_of(served: Any, task: Task) -> dict[str, np.ndarray]:
    """The weights of an exported model by variable path, float32.

    Args:
        served: the loaded SavedModel.
        task: of its recipe, preprocessors loaded.
    """
    sizes = {f"{side}_vocabulary": each.size for side, each in task.preprocessors.items()}
    arrays = {name: variable.numpy() for name, variable in served.model.stored.items()}
    found = undo_layout(arrays, replace(task.recipe.model.config, **sizes))
    return {f"seq2seq/{path}": value for path, value in found.items()}


class Source(NamedTuple):
    """The texts as the decoder needs them: ids int32 [B, S], mask bool [B, S], truncated bool [B]."""

    ids: tf.Tensor
    mask: tf.Tensor
    truncated: tf.Tensor
    memory: Memory

    def lengths(self) -> tf.Tensor:
        """int32 [B], the end counted."""
        return tf.reduce_sum(tf.cast(self.mask, tf.int32), axis=1)

    def empty(self) -> tf.Tensor:
        """bool [B], True where a text has no piece but the end."""
        return self.lengths() == 1


class TextToText(tf.Module):
    """Vocabularies, model and search in one graph, from strings to strings. An empty text is answered by an empty one.

    Args:
        bundle: of a task with the preprocessors "source" and "target" and a search.
        arrays: of the model, laid out for its graph.
        storage: dtype of the stored matrices.
    """

    def __init__(self, bundle: Bundle, arrays: dict[str, np.ndarray], storage: str) -> None:
        super().__init__(name="text_to_text")
        source, target = (bundle.task.preprocessors[side] for side in ("source", "target"))
        decoding = bundle.recipe.decoding
        self.source = source.graph()
        self.target = self.source if target is source else target.graph()
        self.model = Seq2SeqGraph(arrays, bundle.model.config, storage)
        self.max_source, self.length = bundle.recipe.export.max_source, bundle.model.config.max_length
        self.choices = replace(decoding, n_best=1)
        self.several, self.drawn = several(decoding), drawn(decoding)

    @tf.function(input_signature=TEXT, autograph=False)
    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """text, score, truncated: the best answer of each text."""
        source, found = self._best(text)
        return {**self._first(source, found), "truncated": source.truncated}

    @tf.function(input_signature=TEXT, autograph=False)
    def n_best(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """texts, scores [B, N]: several answers of each text, best first."""
        texts, scores = self._texts(*self._search(text, self.several))
        return {"texts": texts, "scores": scores}

    @tf.function(input_signature=TEXT, autograph=False)
    def sample(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """text, score, truncated: an answer drawn at random, another one each time."""
        source, found = self._search(text, self.drawn)
        return {**self._first(source, found), "truncated": source.truncated}

    @tf.function(input_signature=TEXT, autograph=False)
    def attention(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """What each piece of the best answer attended to; pieces are padded to the widest row, counts say how many.

        weights [B, T, S]: row t when piece t was chosen, averaged over blocks and heads; 0 in the padding.
        """
        source, found = self._best(text)
        answer, config = found.ids[:, 0], self.model.config
        ended = tf.reduce_any(answer == config.end_id, axis=1)
        count = found.lengths[:, 0] + tf.cast(ended, tf.int32)  # the end is a piece too
        count = tf.where(source.empty(), 0, count)
        width = tf.maximum(tf.reduce_max(count), 1)
        real, answer = tf.sequence_mask(count, width), answer[:, :width]
        read = tf.concat([tf.fill([tf.shape(answer)[0], 1], config.start_id), answer[:, :-1]], axis=1)
        weights = self.model.attention(self.model.read("decoder"), read, source.memory)
        return {
            "source_pieces": tf.where(source.mask, self.source.pieces(source.ids), ""),
            "source_count": source.lengths(),
            "target_pieces": tf.where(real, self.target.pieces(answer), ""),
            "target_count": count,
            "weights": tf.where(real[..., None], weights, 0.0),
        }

    # What several signatures use is a function of its own, so that the saved graph holds it once.

    @tf.function(input_signature=TEXT, autograph=False)
    def _encode(self, text: tf.Tensor) -> Source:
        ids, mask, truncated = self.source.encode(text, self.max_source)
        return Source(ids, mask, truncated, self.model.encode(self.model.read("encoder"), ids, mask))

    @tf.function(input_signature=TEXT, autograph=False)
    def _best(self, text: tf.Tensor) -> tuple[Source, Hypotheses]:
        return self._search(text, self.choices)

    def _search(self, text: tf.Tensor, choices: SearchChoices) -> tuple[Source, Hypotheses]:
        source = self._encode(text)
        limits = tf.where(source.empty(), 1, limits_of(source.lengths(), choices, self.length))
        draws = None
        if choices.temperature > 0:
            # Not tf.random.uniform: a seed that is set in this process would be frozen into the graph.
            shape = [tf.shape(text)[0], choices.width, self.length]
            draws = tf.raw_ops.RandomUniform(shape=shape, dtype=tf.float32)
        search = Search(self.model, choices, self.length)
        return source, search(self.model.read("decoder"), source.memory, limits, draws)

    def _texts(self, source: Source, found: Hypotheses) -> tuple[tf.Tensor, tf.Tensor]:
        """Texts and scores [B, n_best]."""
        shape = tf.shape(found.lengths)
        ids = tf.reshape(found.ids, [tf.reduce_prod(shape), tf.shape(found.ids)[2]])
        texts = tf.reshape(self.target.decode(ids, tf.reshape(found.lengths, [-1])), shape)
        empty = source.empty()[:, None]
        return tf.where(empty, "", texts), tf.where(empty, 0.0, found.scores)

    def _first(self, source: Source, found: Hypotheses) -> dict[str, tf.Tensor]:
        texts, scores = self._texts(source, found)
        return {"text": texts[:, 0], "score": scores[:, 0]}


def several(choices: SearchChoices) -> SearchChoices:
    """How n_best searches: with the beam of the recipe, all of it returned."""
    if choices.temperature > 0:
        return replace(choices, n_best=max(choices.n_best, CANDIDATES))
    beam = choices.beam if choices.beam > 1 else CANDIDATES
    return replace(choices, beam=beam, n_best=choices.n_best if choices.n_best > 1 else beam)


def drawn(choices: SearchChoices) -> SearchChoices:
    """How sample draws: as the recipe does, or among the most probable pieces where it does not draw."""
    if choices.temperature > 0:
        return replace(choices, n_best=1)
    return replace(choices, beam=1, n_best=1, temperature=1.0, top_k=SAMPLED_AMONG)


class _Reference:
    """The model itself, in float32 with the stored weights, asked through the host faces and `zoo.decoding`."""

    def __init__(self, bundle: Bundle, weights: dict[str, np.ndarray], storage: str) -> None:
        self.bundle, self.weights, self.storage = bundle, weights, storage

    def __call__(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        bundle, recipe = self.bundle, self.bundle.recipe
        choices = replace(recipe.decoding, n_best=1)
        if choices.temperature > 0:
            return {}  # drawn at random: nothing to compare
        source, target = (bundle.task.preprocessors[side] for side in ("source", "target"))
        most = recipe.export.max_source
        encoded, truncated = zip(*(source.encode_within(text, most) for text in texts), strict=True)
        lengths = np.array([len(row) for row in encoded], "int32")
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, "int32")
        ids[mask] = np.concatenate(encoded)
        length = bundle.model.config.max_length
        limits = keras.ops.convert_to_numpy(limits_of(lengths, choices, length))
        inputs = {"source_ids": ids, "source_mask": mask}
        found = generate(self._model(), inputs, choices, length=length, limits=limits)
        answers = [target.decode(row[0][: count[0]]) for row, count in zip(found.ids, found.lengths, strict=True)]
        return {
            "text": ["" if size == 1 else answer for size, answer in zip(lengths, answers, strict=True)],
            "score": np.where(lengths == 1, 0.0, found.scores[:, 0]).tolist(),
            "truncated": list(truncated),
        }

    def _model(self) -> Seq2Seq:
        weights, config = self.weights, self.bundle.model.config
        if self.storage != "float32":
            stored = undo_layout(rounded(layout(weights, config), self.storage), config)
            weights = {f"{self.bundle.model.name}/{path}": each for path, each in stored.items()}
        model = Seq2Seq.from_config({**self.bundle.model.get_config(), "dtype": "float32"})
        for variable in model.weights:
            if not is_state(variable.path):
                variable.assign(weights[variable.path])
        return model
