"""Recipes: every choice of one training, as a TOML file read into typed dataclasses.

A section is a frozen dataclass whose fields are made by `option`:

    @dataclass(frozen=True)
    class Training:
        steps: int = option(8000, "updates in all", low=1)

A recipe names its task at the top, then gives one table a section; what it leaves out has its default:

    # What it reaches, how long it takes and on what.
    task = "translate"
    [training]
    steps = 500

A section that plain construction does not fit defines `from_fields(cls, fields)`, which gets the table as it stands,
and `to_fields(self)`, its way back. Where `from_fields` or `__post_init__` raise a UserError whose `where` is the name
of a field, the error comes to name file and line of that field.
"""

import copy
import dataclasses
import hashlib
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from zoo.errors import UserError, nearest
from zoo.recipe_values import Mismatch, convert, name_of, to_toml, types_of

FORMAT = 1
FOLDER = Path(__file__).parent / "recipes"
WIDTH = 120

Schema = Mapping[str, type]


def option(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, choices: Sequence[Any] = ()
) -> Any:
    """A field of a section.

    Args:
        default: its value where a recipe is silent; lists and dicts are copied for each section.
        help: what it decides, with the unit; shown by --help and written into recipes.
        low, high: bounds of a number (or of each number of a list), themselves allowed.
        choices: the values allowed, any where empty.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": tuple(choices)}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Recipe:
    """A recipe as read. Its sections are attributes too: `recipe.training.steps`."""

    task: str
    name: str
    header: str  # the leading comment, without the marks
    sections: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["sections"][name]
        except KeyError:
            raise AttributeError(f"recipe has no section {name!r}") from None


def find(task: str, name: str) -> Path:
    """The file of a recipe: `name` is a path, or the name of one that comes with zoo.

    Raises: UserError listing the task's recipes where there is none of that name.
    """
    if name.endswith(".toml") or os.sep in name:
        if not Path(name).is_file():
            raise UserError("no such recipe file.", where=name)
        return Path(name)
    if not known(task, name):
        there = sorted(each.stem for each in (FOLDER / task).glob("*.toml"))
        remedy = f"Known recipes of {task}: {', '.join(there) or 'none'}; or give the path of a .toml file."
        raise UserError(f'unknown recipe "{name}".{nearest(name, there)}', remedy=remedy)
    return FOLDER / task / f"{name}.toml"


def known(task: str, name: str) -> bool:
    """Whether a recipe of this name comes with zoo."""
    return (FOLDER / task / f"{name}.toml").is_file()


def peek_task(path: str | Path) -> str:
    """The task that a recipe is for, read without knowing the task's schema."""
    return _task_of(_parse(Path(path))[1], Path(path))


def read(path: str | Path, schema: Schema, overrides: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: the TOML file.
        schema: section name -> dataclass, as the task gives it.
        overrides: "section.field=value" each; the value is TOML, or else plain text.
    Raises: UserError with file and line for syntax, unknown names (with the nearest known), types and bounds.
    """
    path = Path(path)
    text, content = _parse(path)
    lines = _Lines(path, text)
    task = _task_of(content, path)
    if content.get("format", FORMAT) not in range(1, FORMAT + 1):
        remedy = f"This zoo reads recipes up to format {FORMAT}: install a newer zoo."
        raise UserError(f"unknown recipe format {content['format']}.", where=lines.of("", "format"), remedy=remedy)
    for name, value in content.items():
        if isinstance(value, dict):
            _check_known(name, schema, "section", lines.of(name))
        else:
            _check_known(name, ("task", "name", "format"), "field before the first section", lines.of("", name))
    name, header = str(content.get("name", path.stem)), _header(text)
    return Recipe(task, name, header, _sections(content, schema, overrides, lines))


def made(
    task: str, name: str, header: str, tables: Mapping[str, Any], schema: Schema, overrides: Sequence[str] = ()
) -> Recipe:
    """A recipe from the tables of its sections, checked as `read` checks a file."""
    return Recipe(task, name, header, _sections(tables, schema, overrides, _Lines(Path(f"recipe {name}"), "")))


def write(recipe: Recipe, path: str | Path, only_changed: bool = False) -> None:
    """Writes a recipe with its header and the help of each field as a comment; the file appears whole or not at all.

    Args:
        only_changed: leave out the fields that have their default.
    """
    parts = [f"# {line}".rstrip() for line in recipe.header.splitlines()]
    parts += [""] * bool(parts) + [
        f"task = {to_toml(recipe.task)}",
        f"name = {to_toml(recipe.name)}",
        f"format = {FORMAT}",
    ]
    for name, section in recipe.sections.items():
        default = _fields(_construct(type(section), {}))
        help_of = {field.name: field.metadata.get("help", "") for field in dataclasses.fields(section)}
        lines = []
        for key, value in _fields(section).items():
            if value is not None and not (only_changed and key in default and default[key] == value):
                lines += _line(key, value, help_of.get(key, ""))
        if lines:
            parts += ["", f"[{name}]", *lines]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text("\n".join(parts) + "\n", encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def fingerprint(recipe: Recipe) -> str:
    """SHA-256, in hex, of the task and every choice; name, header and order of writing do not count."""
    sections = {name: dataclasses.asdict(section) for name, section in recipe.sections.items()}
    text = json.dumps({"task": recipe.task, "sections": sections}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def describe(schema: Schema) -> str:
    """A table of every section and field with type, default and help, for --help."""
    parts = []
    for name, kind in schema.items():
        types = types_of(kind)
        rows = [
            (field.name, name_of(types[field.name]), to_toml(_default(field)), _help(field))
            for field in dataclasses.fields(kind)
            if field.init
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        parts.append(f"[{name}]")
        for row in rows:
            left = "  " + "".join(cell.ljust(width + 2) for cell, width in zip(row, widths))
            lines = textwrap.wrap(row[3], max(WIDTH - len(left), 40)) or [""]
            parts += [left + lines[0], *(" " * len(left) + line for line in lines[1:])]
        parts.append("")
    return "\n".join(parts).rstrip()


def _sections(content: Mapping[str, Any], schema: Schema, overrides: Sequence[str], lines: "_Lines") -> dict[str, Any]:
    tables = {name: dict(content.get(name, {})) for name in schema}
    for override in overrides:
        _override(tables, schema, override, lines)
    return {name: _build(kind, name, tables[name], lines) for name, kind in schema.items()}


class _Lines:
    """Where sections and fields stand in a recipe file, which tomllib does not tell."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.overrides: dict[tuple[str, str], str] = {}
        self.numbers: dict[tuple[str, str], int] = {}
        section, field = "", ""
        for number, line in enumerate(text.split("\n"), 1):
            if header := re.match(r"\s*\[\s*([\w-]+)\s*(?:\.\s*([\w-]+)[\s.\w-]*)?\]\s*(#.*)?$", line):
                section, field = header[1], header[2] or ""
                self.numbers.setdefault((section, ""), number)
                self.numbers.setdefault((section, field), number)
            elif not field and (key := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)):
                self.numbers.setdefault((section, key[1]), number)

    def of(self, section: str, field: str = "") -> str:
        """ "file:line" of a field, or of its section; of an override where that set the field."""
        if (section, field) in self.overrides:
            return self.overrides[section, field]
        number = self.numbers.get((section, field)) or self.numbers.get((section, ""))
        return f"{self.path}:{number}" if number else str(self.path)


def _parse(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise UserError("no such recipe file.", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 at byte {error.start}.", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        where = f"{path}:{place[1]}" if place else str(path)
        raise UserError(f"not valid TOML: {error}.", where=where, remedy="Strings need quotes in TOML.") from None


def _task_of(content: Mapping[str, Any], path: Path) -> str:
    task = content.get("task")
    if not isinstance(task, str):
        remedy = 'Begin it with a line such as task = "translate", before the first section.'
        raise UserError("the recipe does not say its task.", where=str(path), remedy=remedy)
    return task


def _header(text: str) -> str:
    lines = []
    for line in text.lstrip().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:].removeprefix(" ").rstrip())
    return "\n".join(lines)


def _override(tables: dict[str, dict[str, Any]], schema: Schema, override: str, lines: _Lines) -> None:
    where = f"--set {override}"
    path, equals, text = override.partition("=")
    section, dot, rest = path.strip().partition(".")
    if not (equals and dot and rest):
        raise UserError("expected SECTION.FIELD=VALUE.", where=where, remedy="For example: training.steps=500")
    _check_known(section, schema, "section", where)
    field, _, key = rest.partition(".")
    value = _override_value(schema[section], field, key, text.strip())
    lines.overrides[section, field] = where
    before = tables[section].get(field)
    if key:
        value = {**(before if isinstance(before, dict) else {}), key: value}
    tables[section][field] = value


def _override_value(kind: type, field: str, key: str, text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    if not key and field in types_of(kind):
        try:
            convert(value, types_of(kind)[field])
        except Mismatch:
            return text  # 2016 given for a field of text is the text "2016"; what fits neither is refused later
    return value


def _check_known(name: str, known: Iterable[str], what: str, where: str) -> None:
    known = list(known)
    if name not in known:
        raise UserError(
            f'unknown {what} "{name}".{nearest(name, known)}', where=where, remedy=f"Known: {', '.join(known)}."
        )


def _construct(kind: type, fields: dict[str, Any]) -> Any:
    return kind.from_fields(fields) if hasattr(kind, "from_fields") else kind(**fields)


def _build(kind: type, name: str, table: dict[str, Any], lines: _Lines) -> Any:
    """One section from its table, every field checked."""
    known = {field.name: field for field in dataclasses.fields(kind) if field.init}
    free = hasattr(kind, "from_fields")
    types = types_of(kind)
    values = dict(table)
    for key, value in table.items():
        where = lines.of(name, key)
        if not free:
            _check_known(key, known, f"field of [{name}]", where)
        if key in known:
            values[key] = _checked(known[key], types[key], value, f"[{name}] {key}", where)
    try:
        return _construct(kind, values)
    except UserError as error:
        if error.where and error.where not in (*values, *known):
            raise  # it names a place of its own
        problem = f"[{name}] {error.where}".rstrip() + f": {error.problem}"
        raise UserError(problem, where=lines.of(name, error.where), remedy=error.remedy) from None


def _checked(field: dataclasses.Field[Any], kind: Any, value: Any, what: str, where: str) -> Any:
    try:
        value = convert(value, kind)
    except Mismatch:
        problem = f"{what} must be {name_of(kind)}, not {to_toml(value)}."
        raise UserError(problem, where=where, remedy=_help(field)) from None
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    for item in value if isinstance(value, list | tuple) else (value,):
        if choices and item not in choices:
            hint = nearest(item, map(str, choices)) if isinstance(item, str) else ""
            raise UserError(f"{what} cannot be {to_toml(item)}.{hint}", where=where, remedy=_help(field))
        # Written so that NaN is out of every range.
        if isinstance(item, int | float) and not (-inf if low is None else low) <= item <= (
            inf if high is None else high
        ):
            raise UserError(f"{what} = {to_toml(item)} is out of range.", where=where, remedy=_help(field))
    return value


def _help(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    bounds = ""
    if choices:
        bounds = "one of " + ", ".join(map(to_toml, choices))
    elif low is not None and high is not None:
        bounds = f"{low:.10g} to {high:.10g}"
    elif low is not None or high is not None:
        bounds = f"at least {low:.10g}" if high is None else f"at most {high:.10g}"
    return field.metadata.get("help", "") + (f" ({bounds})" if bounds else "")


def _fields(section: Any) -> dict[str, Any]:
    if hasattr(section, "to_fields"):
        return dict(section.to_fields())
    return {field.name: getattr(section, field.name) for field in dataclasses.fields(section) if field.init}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _line(key: str, value: Any, help: str) -> list[str]:
    line = f"{key} = {to_toml(value)}"
    if not help:
        return [line]
    both = f"{line}  # {help}"
    return [both] if len(both) <= WIDTH else [f"# {help}", line]
