"""A look at a SavedModel, ours or not, with the eyes of the operator of a stock TensorFlow Serving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.export.audit_rules import BY_RUNNING, ERROR, RULES, Finding
from zoo.export.loaded import versions
from zoo.export.stock_ops import SERVER

__all__ = ["Finding", "Report", "audit"]

DANGEROUS = (
    "op",
    "python",
    "file",
    "network",
    "growing",
    "xla",
)  # what has these is not run: it fails, waits or writes


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes:
        path: the version's folder.
        tensorflow: the version that wrote it; "" where it does not say.
        ops: how many different ones it has.
        signatures: name -> "inputs" and "outputs" -> name -> dtype and dimensions.
        findings: what speaks against serving it; warnings among them.
        proved: what was seen to work, in words.
        not_asked: rules that nobody looked at.
    """

    path: str
    tensorflow: str
    ops: int
    signatures: dict[str, dict[str, dict[str, str]]]
    findings: tuple[Finding, ...]
    proved: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings by which the audit fails."""
        return tuple(each for each in self.findings if each.severity == ERROR)

    @property
    def passed(self) -> bool:
        """Whether a stock server can be trusted with it."""
        return not self.errors

    @property
    def verdict(self) -> str:
        """The result in a line."""
        if not self.passed:
            return f"not fit for TensorFlow Serving {SERVER}: {', '.join(sorted({each.rule for each in self.errors}))}"
        return f"stock TensorFlow and TensorFlow Text ops only, fit for TensorFlow Serving {SERVER}"

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "path": self.path,
            "passed": self.passed,
            "verdict": self.verdict,
            "tensorflow": self.tensorflow,
            "server": SERVER,
            "ops": self.ops,
            "signatures": self.signatures,
            "findings": [each.as_json() for each in self.findings],
            "proved": list(self.proved),
            "not_asked": list(self.not_asked),
        }

    def table(self) -> str:
        """All of it for people: a line for each rule, and what is to be done where one fails."""
        lines = [f"{self.path}: {self.verdict}", f"written by TensorFlow {self.tensorflow}, {self.ops} ops", ""]
        for name, each in self.signatures.items():
            inputs, outputs = (
                ", ".join(f"{key} {kind}" for key, kind in each[side].items()) for side in ("inputs", "outputs")
            )
            lines.append(f"  {name}: {inputs} → {outputs}")
        lines.append("")
        for name, rule in RULES.items():
            found = [finding for finding in self.findings if finding.rule == name]
            state = rule.severity.upper() if found else "not tried" if name in self.not_asked else "ok"
            lines.append(f"{state:9}  {name:12}  {rule.holds}")
            for finding in found:
                lines += [f"{'':13}{finding.what}", f"{'':15}where: {finding.where}"]
            if found:
                lines += [f"{'':13}why: {rule.why}", f"{'':13}remedy: {rule.remedy}"]
        lines += ["", *(f"seen: {each}" for each in self.proved)]
        return "\n".join(lines).rstrip() + "\n"


def audit(path: str | Path, *, run: bool = True, without_python: bool = True) -> Report:
    """Looks at the graph and signatures of a SavedModel, then asks it.

    Args:
        path: a version's folder, or a model home, whose newest version is taken.
        run: answer its warm-up requests (or some that are made up), in batches and row by row; not done where the
            graph calls Python, touches files, and the like.
        without_python: answer them by a C++ program too, which is compiled at the first call; only where `run`.
    Raises: UserError where no SavedModel can be read there.
    """
    from zoo.export import audit_graph, audit_signatures

    folder = _folder(Path(path))
    meta_graph = _meta_graph(folder)
    graph = audit_graph.Graph(meta_graph)
    found = [*audit_graph.findings(graph), *audit_signatures.findings(meta_graph)]
    writer = meta_graph.meta_info_def.tensorflow_version
    if _release(writer) > _release(SERVER):
        found.append(Finding("newer", f"it was written by TensorFlow {writer}", "saved_model.pb"))
    run = run and not any(each.rule in DANGEROUS for each in found)
    proved, not_asked = [], set(BY_RUNNING)
    if run:
        from zoo.export.audit_run import Trial

        trial = Trial(folder, audit_graph.random_signatures(graph))
        trial.run(without_python)
        found += trial.findings
        proved, not_asked = trial.proved, trial.not_asked
    return Report(
        path=str(path),
        tensorflow=writer,
        ops=len({node.op for node in graph.nodes.values()}),
        signatures=audit_signatures.described(meta_graph),
        findings=tuple(sorted(found, key=lambda each: list(RULES).index(each.rule))),
        proved=tuple(proved),
        not_asked=tuple(each for each in BY_RUNNING if each in not_asked - {finding.rule for finding in found}),
    )


def _folder(path: Path) -> Path:
    if any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")):
        return path
    numbers = versions(path)
    if not numbers:
        remedy = "Give a folder that holds saved_model.pb, or a model home, whose folders 1, 2, … do."
        raise UserError("no SavedModel is here", where=str(path), remedy=remedy)
    return path / str(numbers[-1])


def _meta_graph(folder: Path) -> Any:
    """The graph for serving."""
    from google.protobuf.message import DecodeError
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        graphs = parse_saved_model(str(folder)).meta_graphs
    except (OSError, DecodeError) as error:
        raise UserError(f"the SavedModel cannot be read: {error}", where=str(folder)) from None
    for each in graphs:
        if set(each.meta_info_def.tags) == {"serve"}:
            return each
    tags = [sorted(each.meta_info_def.tags) for each in graphs]
    raise UserError(f'no graph has the tag "serve"; there are {tags}', where=str(folder))


def _release(version: str) -> tuple[int, ...]:
    """2.20.0 -> (2, 20)."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
