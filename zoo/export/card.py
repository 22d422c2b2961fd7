"""The card of a version: what the model is, what it was made of, how good it is, how to ask it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.export.audit import Report
from zoo.export.bundle import Bundle, Exported, by_input, size_of
from zoo.export.operate import lines_to_copy


def card(
    bundle: Bundle,
    exported: Exported,
    name: str,
    version: int,
    scores: Mapping[str, Any],
    megabytes: float,
    report: Report,
) -> str:
    """The README.md of a version, in Markdown."""
    about = bundle.about
    facts = {
        "task": f"{bundle.task.name} {about.languages}".strip(),
        "version": f"{version}, {megabytes:.1f} MB",
        "weights": f"{bundle.model.count_params():,}",
        "trained on": about.data,
        "terms of the data": about.licence,
        "training": _training(bundle),
        "not for": about.limits,
        "audit": _audit(report),
    }
    rows = "\n".join(f"| {key} | {_cell(value)} |" for key, value in facts.items() if value)
    parts = [f"# {name}", about.description, f"| | |\n|---|---|\n{rows}", _scores(scores)]
    if bundle.curve:
        parts.append("![learning curve](curve.png)")
    names = list(bundle.task.signatures()["serving_default"].inputs)
    examples = [each for each in bundle.examples if size_of(each)][:1]
    given = {name: values[0] for name, values in by_input(names, examples).items() if values}
    asked = dict(given) if len(given) > 1 else next(iter(given.values()), "A text.")
    parts += ["## Signatures", _signatures(bundle, exported), "## Asking it", lines_to_copy(name, asked)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def _training(bundle: Bundle) -> str:
    environment, minutes = bundle.about.environment, bundle.about.minutes
    told = f"{minutes:.0f} minutes, " if minutes else ""
    known = ("backend", "cores", "machine", "keras")
    return told + ", ".join(f"{name} {environment[name]}" for name in known if name in environment)


def _audit(report: Report) -> str:
    warnings = "".join(f"; {each.what}: {each.where}" for each in report.findings)
    return f"{report.verdict}{warnings}"


def _scores(scores: Mapping[str, Any]) -> str:
    if not scores.get("scores"):
        return ""
    rows = "\n".join(
        f"| {each['name']} | {each['value']:.2f} | {each['interval'][0]:.2f} to {each['interval'][1]:.2f} | "
        f"`{_cell(each['signature'])}` |"
        for each in scores["scores"]
    )
    return (
        f"## Scores on {scores['data']}\n\nMeasured through this SavedModel, from raw input to final answer.\n\n"
        f"| score | value | 95 % interval | signature |\n|---|---|---|---|\n{rows}"
    )


def _signatures(bundle: Bundle, exported: Exported) -> str:
    rows = []
    for name, signature in bundle.task.signatures().items():
        inputs = ", ".join(f"`{key}` {kind}" for key, kind in signature.inputs.items())
        outputs = ", ".join(f"`{key}` {kind}" for key, kind in signature.outputs.items())
        rows.append(f"| `{name}` | {signature.about} | {inputs} | {outputs} |")
    limits = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in exported.limits.items())
    return (
        "| signature | answers | takes | gives |\n|---|---|---|---|\n" + "\n".join(rows) + f"\n\nBounds: {limits}. "
        "Text is never refused: invalid UTF-8 is replaced, what is longer is cut and `truncated` says so."
    )
