"""docs/text.md and docs/pretraining.md tell the truth: their commands, fields, recipe and signatures are the code's."""

import re
import shlex
from dataclasses import fields
from importlib import import_module

import pytest

from tests.conftest import ROOT
from zoo import recipe as recipes
from zoo.data import registry
from zoo.data.readers import open_table
from zoo.errors import UserError
from zoo.models.bert_config import PRESETS
from zoo.tasks.task import TASKS, find

PAGES = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("text.md", "pretraining.md")]
PAGE = "\n".join(PAGES)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|\| )(?:zoo |python -m apps\.)([\w-]+) (.*)$", re.MULTILINE)
FIELD = re.compile(r"`(data|preprocessing|model|training|decoding|export)\.(?!safetensors)(\w+)")
ROW = re.compile(r"^\| `(\w+)`(, several labels)? \| (.*) \| (.*) \|$", re.MULTILINE)
HEADINGS = {
    "classify_text": "## Classify",
    "tag": "## Tag",
    "answer": "## Answer",
    "score_pair": "## Score",
    "embed": "## Embed",
    "fill_mask": "## Pre-train",
}


def commands(page):
    """The file of apps/ and the arguments of each command line in the page's blocks and in its code spans."""
    texts = [code for kind, code in BLOCK.findall(page) if not kind]
    texts += [code for code in re.findall(r"`(zoo [^`…]+)`", BLOCK.sub("", page)) if "--help" not in code]
    return [
        (name.replace("-", "_"), shlex.split(rest, comments=True))
        for code in texts
        for name, rest in COMMAND.findall(code)
    ]


def wrong_command(name, arguments):
    """What the command line would refuse; None where it takes the arguments."""
    app = import_module(f"apps.{name}").app
    if name == "serve" and arguments[0] not in app.commands:
        arguments = ["start", *arguments]
    try:
        args = app.parser.parse_args(arguments)
        tasks = [name] if name in TASKS else ["classify_text"] if getattr(args, "overrides", None) else []
        for task in tasks:
            recipes.made(task, "draft", "", {}, find(task).schema(), getattr(args, "overrides", []))
        if getattr(args, "data", None) and args.split not in registry.splits(args.data):
            raise UserError("no such split")
    except (SystemExit, UserError) as error:
        return f"{name} {shlex.join(arguments)}: {error}"
    return None


def unknown_fields(page):
    """Names like `section.field` that no task over a text encoder has."""
    known = {
        (section, field.name)
        for task in HEADINGS
        for section, kind in find(task).schema().items()
        for field in fields(kind)
    }
    return [f"{section}.{field}" for section, field in FIELD.findall(page) if (section, field) not in known]


def task_of(name, overrides=()):
    return find(name)(recipes.made(name, "draft", "", {}, find(name).schema(), overrides))


def told(page, name):
    """The rows of the table of signatures in the section of a task."""
    section = page[page.index(HEADINGS[name]) :].split("\n## ")[0]
    return {
        (signature, bool(several)): (re.findall(r"`(\w+)`", takes), re.findall(r"`(\w+)`", answers))
        for signature, several, takes, answers in ROW.findall(section)
    }


def test_command_lines_parse():
    found = commands(PAGE)
    assert {name for name, _ in found} >= {*HEADINGS, "import_checkpoint", "serve"}
    assert [wrong for each in found if (wrong := wrong_command(*each))] == []


@pytest.mark.parametrize(
    "line",
    [
        "zoo tag train --trian my.conll",
        "zoo embed check --train a.tsv",
        "zoo tag train --set training.lora_rnk=8",
        "zoo embed evaluate saved_models/my --data stsb --split test",
    ],
)
def test_a_wrong_command_line_is_found(line, capsys):
    (command,) = commands(f"```\n{line}\n```\n")
    assert wrong_command(*command)


def test_fields_of_recipes_are_there():
    assert len(FIELD.findall(PAGE)) > 30
    assert unknown_fields(PAGE) == []
    assert unknown_fields("`training.layer_decay` and `training.layer_dekay`") == ["training.layer_dekay"]


@pytest.mark.parametrize(
    ("begins", "name", "ending", "rows"),
    [
        ("text,label", "classify_text", ".csv", 2),
        ("Ada B-", "tag", ".conll", 1),
        ('{"data"', "answer", ".json", 1),
        ("text_a\t", "score_pair", ".tsv", 2),
        ("Ada Lovelace was", "fill_mask", ".txt", 3),
    ],
)
def test_samples_of_files_are_read(begins, name, ending, rows, tmp_path):
    (text,) = [code for _, code in BLOCK.findall(PAGE) if code.startswith(begins)]
    path, task = tmp_path / f"my{ending}", task_of(name)
    path.write_text(text, encoding="utf-8")
    table = open_table({"text": path} if ending == ".txt" else path, {column: column for column in task.columns})
    examples = [example.values for example in table]
    assert len(examples) == rows
    assert all(task.texts(values) for values in examples)
    if len(task.columns) > 1:  # what there is to be told of plain text is known to a vocabulary
        assert all(task.reference(values) is not None for values in examples)


def test_known_sets_are_known():
    (line,) = re.findall(r"^- Known sets: (.*?)\. ", PAGE, re.MULTILINE | re.DOTALL)
    named = re.findall(r"`(\w+)`", line)
    assert len(named) == 10 and [name for name in named if name not in registry.names()] == []


def test_presets_are_those_of_the_family():
    (line,) = re.findall(r"`model\.preset` chooses the size: (.*?)\.", PAGE, re.DOTALL)
    assert {*re.findall(r"`(\w+)`", line), "debug"} == PRESETS.keys()


def test_the_recipe_reads(tmp_path):
    (text,) = [code for kind, code in BLOCK.findall(PAGE) if kind == "toml"]
    path = tmp_path / "my-recipe.toml"
    path.write_text(text, encoding="utf-8")
    recipe = recipes.read(path, find(recipes.peek_task(path)).schema())
    assert recipe.training.class_weights == {"billing": 2.0}


@pytest.mark.parametrize("name", HEADINGS)
def test_signatures_are_those_of_the_task(name):
    rows, task = told(PAGE, name), task_of(name)
    assert {signature for signature, _ in rows} == task.signatures().keys()
    for (signature, several), (takes, answers) in rows.items():
        here = task_of(name, ["data.multi_label=true"]) if several else task
        promised = here.signatures()[signature]
        inputs = list(promised.inputs)
        assert takes[: len(inputs)] == inputs or not takes  # "the same"
        assert answers == list(promised.outputs)


def test_links_lead_somewhere():
    def anchors(page):
        titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    for page in PAGES:
        links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", page)]
        texts = [(ROOT / "docs" / file).read_text(encoding="utf-8") if file else page for file, _, _ in links]
        assert links
        assert [at for (_, _, at), text in zip(links, texts, strict=True) if at and at not in anchors(text)] == []
