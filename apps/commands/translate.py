"""What `zoo translate` does, behind its options."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from apps.cli import read_recipe
from apps.commands import task
from zoo import recipe as recipes
from zoo.errors import UserError
from zoo.progress import say
from zoo.recipe import Recipe
from zoo.run import Run, Start


def check_files(args: Namespace) -> None:
    """Prints what is found in the user's files."""
    from zoo.data.check import check, render

    print(render(check(_own_table(args))))


def train_run(args: Namespace) -> None:
    """Trains, or goes on with, the run of a recipe or of the user's own files."""
    from zoo.tasks.translate import check_languages
    from zoo.train import starting_point, train

    start = starting_point(args.start_from) if args.start_from else None
    own = args.source or args.target
    recipe = own_recipe(args, start) if own else read_recipe(args, "translate", _schema())
    check_languages(recipe)
    run = Run(Path(args.run or Path("runs") / recipe.name), recipe)
    train(run, start_from=start)
    task.say_next("translate", run)


def own_recipe(args: Namespace, start: Start | None = None) -> Recipe:
    """The recipe for --source and --target: the one the run has already, or one made from a look at the files.

    With a start, model, vocabulary and languages are those of the start, and the peak rate is a fifth: what was
    learned shall not be shaken out.
    """
    from zoo.tasks.translate_sizes import propose, survey

    if args.recipe:
        raise UserError("--recipe and --source exclude each other", remedy="Name the files in the recipe's [data].")
    table = _own_table(args)
    name = Path(args.target).name.split(".")[0]
    folder = Path(args.run or Path("runs") / name)
    path = folder / "recipe.toml"
    if path.is_file():
        return recipes.read(path, _schema(), args.overrides)
    files = {side: str(Path(getattr(args, side)).resolve()) for side in ("source", "target")}
    languages = {
        f"{side}_language": code
        for side in ("source", "target")
        if len(code := Path(files[side].removesuffix(".gz")).suffix[1:]) == 2
    }
    found = survey(table)
    tables = {**propose(found), "data": {"train": files}, "export": languages}
    if start:
        tables["model"] = start.recipe.model.to_fields()
        tables["preprocessing"] = asdict(start.recipe.preprocessing)
        tables["export"] = asdict(start.recipe.export)
        tables["training"]["peak_rate"] /= 5
    header = (
        f"Made for {args.source} and {args.target}: {found.pairs:,} pairs, {found.words:,} words, "
        f"{found.types:,} different ones."
    )
    return recipes.made("translate", name, header, tables, _schema(), args.overrides)


def evaluate_home(args: Namespace) -> None:
    """Prints the scores of an exported model on a test set."""
    own = args.source and args.reference
    task.evaluate_home(args, {"source": args.source, "target": args.reference} if own else None)


def predict_lines(args: Namespace) -> None:
    """One answer a line; n-best: line number, score and text."""
    texts = task.lines(args.input)
    answers = _answerer(args.model)(texts, args.n_best)
    with task.output(args.output) as file:
        for number, (found, scores) in enumerate(answers, 1):
            if not args.n_best:
                print(found[0], file=file)
                continue
            for text, score in zip(found, scores, strict=True):
                print(number, f"{score:.4f}", text, sep="\t", file=file)


def draw(args: Namespace) -> None:
    """Writes the picture of a translation's attention."""
    from zoo.export.loaded import load
    from zoo.viz.attention import draw_attention, merge_pieces

    found = load(args.model).attention([args.text])[0]
    draw_attention(*merge_pieces(found.source_pieces, found.target_pieces, found.weights), Path(args.output))
    print("".join(found.target_pieces).replace("\u2581", " ").strip())
    say(f"drawn: {args.output}")


def _schema() -> recipes.Schema:
    from zoo.tasks.translate import Translate

    return Translate.schema()


def _own_table(args: Namespace) -> Any:
    from zoo.data.readers import open_table

    for side in ("source", "target"):
        if not getattr(args, side):
            remedy = "Give both files, line n of one belonging to line n of the other."
            raise UserError(f"--{side} is missing", remedy=remedy)
    return open_table({"source": args.source, "target": args.target}, {"source": "source", "target": "target"})


def _answerer(path: str) -> Any:
    """texts, n_best -> [(texts, scores)], from a run or a model home."""
    if (Path(path) / "checkpoints").is_dir():
        run = Run.open(path)
        model = run.model()

        def from_run(texts: list[str], n_best: bool) -> Any:
            choices = run.recipe.decoding
            choices = replace(choices, n_best=choices.width) if n_best else choices
            return run.task.predict_n_best(model, texts, choices)

        return from_run
    from zoo.export.loaded import load

    home = load(path)

    def from_home(texts: list[str], n_best: bool) -> Any:
        return home.n_best(texts) if n_best else (([text], [0.0]) for text in home(texts))

    return from_home
