"""Questions with contexts and answers, in the JSON of SQuAD 1.1 and 2.0 (Rajpurkar et al., 2016, 2018)."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.data.tables import Example, Table, known_column
from zoo.data.textfiles import read_lines
from zoo.errors import UserError

COLUMNS = ("question", "context", "answers", "id", "title")
ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)')
SHOWN = 60  # characters of a text in an error


def check_answers(context: Any, answers: Any) -> None:
    """Look at the answers of one row from whatever table.

    Args:
        context: a text.
        answers: ``[{"text": str, "start": int}, …]``, start counted in characters; empty where there is no answer.

    Raises: UserError, without a place, where an answer does not stand in the context at its start.
    """
    if not isinstance(context, str) or not isinstance(answers, list):
        raise UserError(f"a context and a list of answers are needed, this is {context!r:.40} and {answers!r:.40}")
    for answer in answers:
        text, start = (answer.get("text"), answer.get("start")) if isinstance(answer, dict) else (None, None)
        if not isinstance(text, str) or type(start) is not int:
            raise UserError(f'an answer needs "text" and "start", a string and a number: {answer!r:.80}')
        if not text:
            raise UserError("an empty answer", remedy="Where there is no answer, the list of answers is empty.")
        if start < 0 or context[start : start + len(text)] != text:
            found = context.find(text)
            there = f"at {start} stands {_shown(context[max(start, 0) : max(start, 0) + len(text)])}"
            raise UserError(
                f"the answer {_shown(text)} is not in its context at {start}: {there}",
                remedy=f"The text is first found at {found}. Starts are counted in characters, not in bytes."
                if found >= 0
                else "The text is nowhere in the context: was one of the two cleaned or cut?",
            )


class Squad(Table):
    """A question a row: `question`, `context`, `answers` (as `check_answers` says), `id`, `title`.

    Version 2.0's unanswerable questions have no answers; its plausible ones are left aside. The file is one piece of
    JSON, so all of it is held while it is read. A row's place is the line of its id, and the id.

    Args:
        path: the file.
        columns: for each column of the task, one of those above.

    Raises: UserError where the file is not JSON, something is missing, or an answer is not in its context.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self.columns = tuple(columns)
        self.files = (path,)
        self._names = {column: known_column(name, COLUMNS, str(path)) for column, name in columns.items()}
        self.rows = sum(1 for _ in self)  # looks at every answer
        if not self.rows:
            raise UserError("there is no question in it", where=str(path))

    def __iter__(self) -> Iterator[Example]:
        path = self.files[0]
        text = "\n".join(read_lines(path))
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            remedy = "One object a line? Then name the file .jsonl." if error.msg == "Extra data" else ""
            raise UserError(
                f"not JSON: {error.msg}, character {error.colno}", where=f"{path}:{error.lineno}", remedy=remedy
            ) from None
        lines = _lines_of_ids(text)
        for article in _members(content, "data", f"{path}:1"):
            for paragraph in _members(article, "paragraphs", str(path)):
                for question in _members(paragraph, "qas", str(path)):
                    name = str(_member(question, "id", str(path)))
                    place = f"{path}:{lines.get(name, 1)} (id {name})"
                    values = _row(question, paragraph, place) | {"id": name, "title": article.get("title", "")}
                    yield Example({column: values[name] for column, name in self._names.items()}, place)


def _row(question: Mapping[str, Any], paragraph: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The columns of a question but its id and title; UserError with the place where they are not as they should be."""
    context, answers = _member(paragraph, "context", place), _members(question, "answers", place)
    if answers and question.get("is_impossible"):
        raise UserError("a question that is_impossible has answers", where=place)
    if not all(isinstance(answer, dict) for answer in answers):
        raise UserError('"answers" must be a list of objects', where=place)
    found = [{"text": answer.get("text"), "start": answer.get("answer_start")} for answer in answers]
    try:
        check_answers(context, found)
    except UserError as error:
        raise UserError(error.problem, where=place, remedy=error.remedy) from None
    return {"question": _member(question, "question", place), "context": context, "answers": found}


def _member(of: Any, name: str, place: str) -> Any:
    if not isinstance(of, dict) or name not in of:
        raise UserError(
            f'"{name}" is missing in {of!r:.{SHOWN}}',
            where=place,
            remedy='SQuAD\'s JSON is {"data": [{"paragraphs": [{"context": …, "qas": [{"id": …, "question": …, '
            '"answers": [{"text": …, "answer_start": …}]}]}]}]}.',
        )
    return of[name]


def _members(of: Any, name: str, place: str) -> list[Any]:
    found = _member(of, name, place)
    if not isinstance(found, list):
        raise UserError(f'"{name}" must be a list, this is {found!r:.{SHOWN}}', where=place)
    return found


def _lines_of_ids(text: str) -> dict[str, int]:
    """The line on which each id stands first. (Within a string of JSON, the quotation marks would have backslashes.)"""
    lines: dict[str, int] = {}
    line, end = 1, 0
    for found in ID.finditer(text):
        line += text.count("\n", end, found.start())
        end = found.start()
        lines.setdefault(str(json.loads(found[1])), line)
    return lines


def _shown(text: str) -> str:
    return f'"{text}"' if len(text) <= SHOWN else f'"{text[:SHOWN]} …"'
