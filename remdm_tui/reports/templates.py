"""The templates of a report's files, and how text from strangers is escaped in each format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import markupsafe
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "–": "--", "±": r"$\pm$", "…": r"\ldots{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # behind the end of a row these would be its options
}  # fmt: skip
LAST_LETTER = "\u0180"
"""Latin letters up to here are in the fonts of every LaTeX."""
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&])")


def escape_html(text: str) -> str:
    """Return the text as HTML that shows it, in an element or a quoted attribute."""
    return str(markupsafe.escape(text))


def escape_latex(text: str) -> str:
    """Return the text as LaTeX that sets it; outside ASCII, letters stay and anything else becomes a question mark."""
    return "".join(LATEX.get(c, c if " " <= c <= "~" or (c.isalpha() and c < LAST_LETTER) else "?") for c in text)


def escape_markdown(text: str) -> str:
    """Return the text as Markdown that shows it, in one line."""
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def comment(text: str) -> Markup:
    """Return the text in one line, so that all of it stays behind the % of a LaTeX comment."""
    return Markup(" ".join(text.split()))


@dataclass(frozen=True)
class Format:
    """How the templates of a format are written, and what makes a text safe in it."""

    escape: Callable[[str], str]
    syntax: dict[str, Any] = field(default_factory=dict)


FORMATS = {
    "html": Format(escape_html),
    "md": Format(escape_markdown, {"trim_blocks": True, "lstrip_blocks": True}),
    # braces and per cent signs are LaTeX's own
    "tex": Format(
        escape_latex,
        {
            "trim_blocks": True, "lstrip_blocks": True, "block_start_string": "<%", "block_end_string": "%>",
            "variable_start_string": "<<", "variable_end_string": ">>", "comment_start_string": "<#",
            "comment_end_string": "#>",
        },
    ),
}  # fmt: skip
"""By the ending of a report's file."""


def render(kind: str, **values: Any) -> str:
    """Return the report's file of a format; every value that is not Markup is escaped.

    Raises jinja2.UndefinedError for a name in the template without a value, which would be a mistake in the program.
    """
    form = FORMATS[kind]

    def escape(value: Any) -> Markup:
        return value if isinstance(value, Markup) else Markup(form.escape(str(value)))

    # with autoescape the output of a macro is Markup, so that nothing is escaped twice
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=escape, **form.syntax)
    environment.filters["comment"] = comment
    text = files(__package__).joinpath(f"report.{kind}.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)
