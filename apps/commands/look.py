"""Pages and pictures of encoders, from runs and model homes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.plan import Shape
from zoo.errors import UserError
from zoo.run import Run
from zoo.tasks.classify_text import ClassifyText
from zoo.tasks.task import resolve
from zoo.tasks.text_encoder import TextEncoder

LONGEST_TITLE = 80
MAPPED = 3000  # sentences of a map, at most: more can be neither told apart nor pointed at


def attention_page(args: Namespace) -> None:
    """Writes the attention over a text or a pair."""
    from keras import ops

    from zoo.viz.attention_page import write_attention_page

    _check_output(args.output, ".html")
    task, model = _opened(args.model)
    inputs = _inputs(task, _texts(args))
    weights = model.attention({name: ops.convert_to_tensor(array) for name, array in inputs.items()})
    pieces = task.subwords.pieces(inputs["ids"][0])
    write_attention_page(pieces, ops.convert_to_numpy(weights)[:, 0], args.output, _title("Attention", args))
    print(f"written: {args.output}")


def importance_page(args: Namespace) -> None:
    """Writes what each piece of a text adds to a class."""
    from zoo.viz.importance import integrated_gradients, signed, write_importance_page

    _check_output(args.output, ".html")
    task, model = _opened(args.model)
    if not isinstance(task, ClassifyText):
        raise UserError(f"importance is that of a class, and {task.name} has none", where=args.model)
    texts = _texts(args)
    if len(texts) != len(task.inputs()):
        problem = f"this classifier reads {' and '.join(task.inputs())}"
        raise UserError(problem, remedy="Give the second text by --pair." if len(texts) == 1 else "Leave --pair out.")
    # Looked up before the long work: a wrong name is an error at once.
    label = task.labels.index(args.label) if args.label else None
    if label is None:
        label = int(np.argmax(task.probabilities(model, [texts])[0]))
    inputs = _inputs(task, texts)
    ids, subwords, name = inputs["ids"][0], task.subwords, task.labels.names[label]
    kept = np.isin(ids, [subwords.start_id, subwords.end_id])
    found = integrated_gradients(model, inputs, label, kept)
    pieces = subwords.pieces(ids)
    write_importance_page(pieces, found, name, args.output, _title(f"What speaks for “{name}”", args))
    for index in np.argsort(-np.abs(found.shares), kind="stable")[:5]:
        print(f"{signed(float(found.shares[index])):>7}  {pieces[index]}")
    print(f"written: {args.output}")


def confusion_picture(args: Namespace) -> None:
    """Draws which class was taken for which."""
    from zoo.evaluation.classification import confusion
    from zoo.export.loaded import load
    from zoo.export.scores import TestSet
    from zoo.viz.confusion import draw_confusion

    if bool(args.data) == bool(args.test):
        raise UserError("one test set is wanted", remedy="Give --data and --split, or --test with your own file.")
    _check_output(args.output, ".png", ".svg", ".pdf")
    if (Path(args.model) / "recipe.toml").is_file():
        remedy = f"Export it: zoo classify_text export {args.model} HOME"
        raise UserError("scores are those of an exported model, and this is a run", where=args.model, remedy=remedy)
    model = load(args.model)
    task = model.task
    if not isinstance(task, ClassifyText) or task.multi_label:
        raise UserError("a confusion matrix is of a classifier with one label a text", where=args.model)
    test = TestSet.of_data(args.data, args.split, task) if args.data else TestSet.of_files(args.test, task)
    references = [task.labels_in(each) for each in test.references]
    answers = model(test.raws)
    order = [*task.labels.names, *sorted({*answers, *references} - set(task.labels.names))]
    draw_confusion(*confusion(answers, references, order), args.output)
    print(f"written: {args.output}")


def map_page(args: Namespace) -> None:
    """Writes a page, and beside it a picture, of where an embedder puts the sentences of a file."""
    from apps.commands.sentences import open_embedder, read_sentences
    from zoo.viz.embedding_map import draw_map, lay_out, write_map_page

    _check_output(args.output, ".html")
    given = read_sentences(args.input, args.column, args.labels or "")
    if len(given.texts) < 3:
        raise UserError(f"a map takes at least 3 sentences, and here are {len(given.texts)}", where=args.input)
    vectors = np.vstack(open_embedder(args.model).vectors(given))
    # From all of the file: many a one stands in the order of its labels.
    kept = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), MAPPED)).round().astype(int))
    texts, labels = ([each[row] for row in kept] if each else [] for each in (given.texts, given.labels))
    of = f"{len(kept):,} of {len(vectors):,}" if len(kept) < len(vectors) else f"{len(kept):,}"
    title = f"Map of {of} sentences: {Path(args.input).name}"
    layout = lay_out(vectors[kept], args.method)
    picture = Path(args.output).with_suffix(".png")
    draw_map(layout, picture, title, labels)
    write_map_page(texts, vectors[kept], layout, args.output, title, labels)
    print(f"written: {args.output}, {picture}")


def _opened(path: str) -> tuple[TextEncoder, Any]:
    """The task and the trained model of a run or a model home.

    Raises: UserError where it is no text encoder.
    """
    from zoo.models.registry import FAMILIES
    from zoo.training.checkpoints import restore_weights

    home: Any = None
    if (Path(path) / "recipe.toml").is_file():
        run = Run.open(path)
        task = run.task
    else:
        from zoo.export.loaded import load

        home = load(path)
        task = home.task
    if not isinstance(task, TextEncoder):
        raise UserError(f"{task.name} is no task over a text encoder", where=path)
    if home is None:
        return task, run.model()
    # Adapters are merged in what was exported, so none are built, as the task would.
    model = resolve(FAMILIES[task.recipe.model.family])(task.config)
    restore_weights(model, home.weights)
    return task, model


def _texts(args: Namespace) -> tuple[str, ...]:
    texts = (args.text,) if args.pair is None else (args.text, args.pair)
    if not all(text.strip() for text in texts):
        raise UserError("there is nothing to look at in an empty text", where="TEXT")
    return texts


def _inputs(task: TextEncoder, texts: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Inputs of the model [1, T], without padding."""
    row = task.encode_inputs(texts)
    return task.pad_inputs([row], Shape(1, (len(row["ids"]),)))


def _title(what: str, args: Namespace) -> str:
    """Heading of a page: what it shows, and of which text."""
    text = " | ".join(_texts(args))
    return f"{what}: {text if len(text) <= LONGEST_TITLE else text[: LONGEST_TITLE - 1] + '…'}"


def _check_output(path: str, *endings: str) -> None:
    """Before the work: a path that cannot be written to, or whose ending says something else."""
    if Path(path).suffix not in endings:
        raise UserError(f"the file ends in {' or '.join(endings)}", where=f"--output {path}")
    if not Path(path).parent.is_dir():
        raise UserError("there is no such folder", where=f"--output {path}")
