"""What happened to one position and why, and what the network would put there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap
from types import MappingProxyType

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from engine.debug.findings import Moment, Story, TokenPrediction, Verdict
from engine.records import Change
from engine.text.numbers import short
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.shorten import shorten

NO_PARTS: Mapping[int, str] = MappingProxyType({})
TOP = 8
"""Tokens of the network's that are shown."""
NAME, BAR = 14, 8


class InspectorPanel(Static):
    """Shows text made by the functions below."""

    DEFAULT_CSS = "InspectorPanel { height: auto; }"


def quoted(piece: str, ascii_only: bool) -> str:
    return f'"{sanitize(piece, cells=True, ascii_only=ascii_only)}"'


def named(token: int, pieces: Sequence[str], parts: Mapping[int, str], ascii_only: bool) -> str:
    """Return a token in quotes, or the name in `parts` of a part of a character."""
    if token in parts:
        return sanitize(parts[token], cells=True, ascii_only=ascii_only)
    return quoted(pieces[token], ascii_only) if token < len(pieces) else str(token)


def story_text(
    story: Story | None,
    pieces: Sequence[str],
    position: int,
    room: tuple[int, int],
    ascii_only: bool,
    parts: Mapping[int, str] = NO_PARTS,
    ranks: Mapping[int, str] = NO_PARTS,
) -> Text:
    """Return the story in `room` (columns, rows), cut around the last moment up to `position`, which is marked.

    parts: what to call tokens that hold a part of a character; ranks: where in the model's prediction a token stood,
    by the step that revealed it.
    """
    if story is None:
        return Text("Reading the history ...", style="italic")
    moments = story.moments
    if not moments:
        return Text("Not revealed yet", style="italic")
    columns, rows = room
    now = max((i for i, moment in enumerate(moments) if moment.step <= position), default=0)
    first, last = now, now
    names = [named(moment.token, pieces, parts, ascii_only) for moment in moments]
    wrapped = {now: _wrapped(moments[now], names[now], ranks, columns, ascii_only)}
    # what came before explains more than what comes after
    for i in (*range(now - 1, -1, -1), *range(now + 1, len(moments))):
        more = _wrapped(moments[i], names[i], ranks, columns, ascii_only)
        if sum(map(len, wrapped.values())) + len(more) > rows:
            break
        wrapped[i], first, last = more, min(first, i), max(last, i)
    text = Text()
    for i in range(first, last + 1):
        here = i == now and moments[i].step <= position
        mark = ">" if ascii_only else "►"
        style = "bold" if here else "italic" if moments[i].step > position else ""
        head, *tail = wrapped[i]
        text.append(f"{mark if here else ' '} {head}\n", style)
        for line in tail:
            text.append(f"  {line}\n", style)
    text.rstrip()
    return text


def _wrapped(
    moment: Moment, token: str, ranks: Mapping[int, str], columns: int, ascii_only: bool
) -> list[str]:  # fmt: skip
    line = f"{moment.step:>5}  {_moment(moment, token, ranks.get(moment.step, ''), ascii_only)}"
    return wrap(line, max(20, columns - 2), subsequent_indent=" " * 7, drop_whitespace=True) or [line]


def _moment(moment: Moment, token: str, rank: str, ascii_only: bool) -> str:
    held = "" if math.isnan(moment.held) else f" p {short(moment.held)}"
    ranked = f", {rank}" if rank else ""
    what = {Change.REVEALED: f"revealed as {token}{held}{ranked}", Change.REMASKED: f"remasked, was {token}{held}"}
    what |= {Change.EDITED: f"edited to {token}{held}"}
    done = what.get(moment.change, token)
    return f"{done}: {sanitize(moment.why, cells=True, ascii_only=ascii_only)}"


def prediction_text(
    prediction: TokenPrediction,
    pieces: Sequence[str],
    room: tuple[int, int],
    ascii_only: bool,
    parts: Mapping[int, str] = NO_PARTS,
) -> Text:
    """Return the network's tokens with the nucleus's cut, and what each strategy would do, in `room` (columns, rows).

    parts: what to call tokens that hold a part of a character.
    """
    columns, rows = room
    own = "" if math.isnan(prediction.own) else f", this token p {prediction.own:.3g}"
    text = Text(f"after step {prediction.step}: entropy {prediction.entropy:.2f} nats{own}\n")
    verdicts = [(verdict.strategy, _verdict(verdict, prediction.masked)) for verdict in prediction.verdicts]
    column = NAME + BAR + 11
    names = [named(ranked.token, pieces, parts, ascii_only) for ranked in prediction.top]
    if columns >= column + 34:
        left = _ranked(prediction, names, min(TOP, max(3, rows - 2)), ascii_only)
        right = [shorten(f"{name:<16} {verdict}", columns - column, ascii_only) for name, verdict in verdicts]
        for i in range(max(len(left), len(right))):
            a, b = (side[i] if i < len(side) else "" for side in (left, right))
            text.append(f"{a}{' ' * max(1, column - cell_len(a))}{b}\n")
    else:
        short = wrap("; ".join(f"{name} {verdict}" for name, verdict in verdicts), max(20, columns))
        left = _ranked(prediction, names, min(TOP, max(3, rows - 2 - len(short))), ascii_only)
        text.append("\n".join([*left, *short]))
    text.rstrip()
    return text


def _ranked(prediction: TokenPrediction, names: Sequence[str], most: int, ascii_only: bool) -> list[str]:
    full, cut = ("=", "--") if ascii_only else ("█", "──")
    lines: list[str] = []
    shown = prediction.top[:most]
    for number, ranked in enumerate(shown):
        name = names[number]
        if not ranked.kept and (not number or shown[number - 1].kept):
            lines.append(f"{cut} nucleus: {prediction.nucleus} above {cut}")
        name = shorten(name, NAME, ascii_only)
        bar = full * round(ranked.probability * BAR)
        lines.append(f"{name}{' ' * (NAME - cell_len(name))} {ranked.probability:.4f} {bar}")
    if shown and shown[-1].kept:
        lines.append(f"{cut} nucleus: {prediction.nucleus} in all {cut}")
    return lines


def _verdict(verdict: Verdict, masked: bool) -> str:
    if verdict.problem:
        return verdict.problem
    return f"reveals {verdict.unmask:.4g}" if masked else f"remasks {verdict.remask:.4g}"
