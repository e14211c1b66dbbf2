"""A step as lines of styled text, typeset as in the live view; every picture is made of these.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from rich.cells import cell_len
from rich.style import Style

from engine.records import Change
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest
from remdm_tui.render.canvas import canvas, marked_grid, title
from remdm_tui.render.grid_face import GridFace
from remdm_tui.render.palette import Palette, palette
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.token_codes import codes_of, styles_of
from remdm_tui.render.typeset import HIDDEN, Type, typeset
from remdm_tui.render.typeset_grid import typeset_grid

PLAIN = Style()
BOLD = Style(bold=True)
NARROWEST, WIDEST = 40, 400

SceneLine = tuple[tuple[str, Style], ...]
"""Sanitized runs of text, each with its style."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One sample of a run, ready to be typeset at any position."""

    trace: Record
    sample: int
    type_: Type
    looks: Palette
    columns: int
    model: str
    seed: int
    ascii_only: bool
    face: GridFace | None = None
    """how the tokens lie if they are a grid"""

    @classmethod
    def of(cls, request: ExportRequest) -> Scene:
        """Return the scene of a request. Raises ValueError for columns out of range."""
        if not NARROWEST <= request.columns <= WIDEST:
            raise ValueError(f"columns must lie in {NARROWEST} to {WIDEST}, not {request.columns}")
        recording, trace = request.recording, request.trace
        looks = palette(not request.light, request.ascii)
        model = recording.model
        pieces = TokenTexts.of(model.pieces, request.ascii, model.fragments)
        type_ = Type.of(pieces, {state: looks.looks[state].fill for state in HIDDEN})
        return cls(
            trace, request.sample, type_, looks, request.columns, recording.header.model.name, recording.header.seed,
            request.ascii, GridFace.of(model, request.ascii),
        )  # fmt: skip

    def heading(self, position: int) -> str:
        """Return the model and the settings that made a step, in one line; at the start those of the first step."""
        frame, settings = self.trace.frame(position), self.trace.settings()
        name = self.model
        if settings:
            name = f"{name} │ {title(settings[0][1] if frame is None else frame.settings, self.seed)}"
        return sanitize(name, cells=True, ascii_only=self.ascii_only)

    def page(self, position: int) -> list[SceneLine]:
        """Return title, figures, the text and the legend; each but the text is one line."""
        return [
            _clipped(((self.heading(position), BOLD),), self.columns),
            _clipped(((self._figures(position), PLAIN),), self.columns),
            (),
            *self.text(position),
            (),
            _clipped(self.legend(), self.columns),
        ]

    def text(self, position: int) -> list[SceneLine]:
        """Return the lines of the text at a position."""
        now = canvas(self.trace, position, self.sample)
        face = None if self.face is None else self.face.fitting(len(now.tokens), self.columns, 0)
        if face is None:
            page = typeset(now, codes_of(now, None, range(0), None), self.type_, self.columns)
        else:
            now = marked_grid(now, face.layout, None)
            page = typeset_grid(now, now.change, self.type_, replace(face, indent=0))
        styles = styles_of(self.looks)
        runs = [(text, styles[code]) for text, code in zip(page.texts, page.codes, strict=True)]
        return [tuple(runs[first:last]) for first, last in pairwise(page.firsts)]

    def legend(self) -> SceneLine:
        """Return every state in its style."""
        runs: list[tuple[str, Style]] = []
        for state in Change:
            look = self.looks.looks[state]
            words = ((look.fill, look.style), (look.name, PLAIN)) if look.fill else ((f" {look.name} ", look.style),)
            runs += [*words, ("  ", PLAIN)]
        return tuple(runs[:-1])

    def _figures(self, position: int) -> str:
        total, now = max(self.trace.start.steps, len(self.trace)), self.trace.figures(position, self.sample)
        frame, length = self.trace.frame(position), self.trace.start.tokens.shape[1]
        if frame is None or now is None:
            return f"step {position}/{total}"
        return (
            f"step {position}/{total}  t {frame.s:.4f}  alpha {frame.alpha_s:.4f}  sigma {now.sigma:.4f}  "
            f"masked {now.masked}/{length}  revealed {now.revealed}  remasked {now.remasked}"
        )


def _clipped(line: SceneLine, columns: int) -> SceneLine:
    """Return the start of a line that fits in a number of columns."""
    kept: list[tuple[str, Style]] = []
    for text, style in line:
        while text and cell_len(text) > columns:
            text = text[:-1]
        columns -= cell_len(text)
        kept.append((text, style))
    return tuple(kept)
