"""HTML pages that are whole in one file: templates in `page/`, filled."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "page"


class Markup(str):
    """Text that is HTML or JSON already, and goes into a page as it stands."""


def write_page(template: str, path: str | Path, **values: str) -> None:
    """Writes a page; {{name}} in the template becomes the value of that name, {{style}} the style that all share.

    Args:
        template: its name in `page/`, without ".html".
        path: of the page, which appears whole.
        values: text, which is escaped, or `Markup`.
    """
    known = {**values, "style": Markup((FOLDER / "style.css").read_text(encoding="utf-8"))}

    def fill(place: re.Match[str]) -> str:
        value = known[place[1]]
        return value if isinstance(value, Markup) else escape(value)

    # In one pass: what a value holds is never taken for a place of the template.
    text = re.sub(r"\{\{(\w+)\}\}", fill, (FOLDER / f"{template}.html").read_text(encoding="utf-8"))
    path = Path(path)
    draft = path.with_name(f".{path.name}.partial")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
