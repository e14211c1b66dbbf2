"""Edits of the text: mask, lock and set tokens, and the prompt."""

from __future__ import annotations

from textual.widget import Widget

from engine.records import Change
from remdm_tui.screens.bottom_line import BottomLine, LineHistory
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.watch.debugger import EditKind
from remdm_tui.watch.inspector import named_parts
from remdm_tui.watch.key_names import key
from remdm_tui.watch.token_input import prompt_length, prompt_text, prompt_tokens, spell, token_of
from remdm_tui.widgets.inspector import TOP, named
from remdm_tui.widgets.line_input import newline_sign

NOWHERE = f"No token selected. Press {key('inspect')} or click one"


class TokenEditor:
    """Edits the step on screen; asks for tokens in a line below the text."""

    def __init__(self, panel: Widget, controls: Controls) -> None:
        self._panel, self._controls, self._session = panel, controls, controls.session
        self._tokens, self._prompts = LineHistory(), LineHistory()

    def _edit(self, kind: EditKind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Edit the sequence.  Raises ValueError if it cannot be edited now."""
        if obstacle := self._controls.obstacle:
            raise ValueError(obstacle)
        with self._controls.naming_keys():
            self._session.debug.alter(kind, position, tokens, held)
        self._controls.wake()

    def _refused(self) -> bool:
        """Say why nothing can be edited now; return whether that is so."""
        obstacle = self._controls.obstacle
        if obstacle:
            self._controls.say(obstacle)
        return bool(obstacle)

    def edit_selected(self, kind: EditKind) -> None:
        """Edit the selected position, or say why that is impossible."""
        at = self._session.debug.inspector.at
        if self._refused():
            return
        try:
            if at is None:
                raise ValueError(NOWHERE)
            self._edit(kind, at)
        except ValueError as error:
            self._controls.say(str(error))

    def toggle_lock(self) -> None:
        """Lock the position, or unlock it."""
        session = self._session
        at, record = session.debug.inspector.at, session.trace
        locked = False
        if at is not None and record is not None:
            locked = bool(record.change(session.position, session.sample)[at] == Change.LOCKED)
        self.edit_selected("unlock" if locked else "lock")

    def set_token(self) -> None:
        """Ask for a token to set at the position."""
        session, plain = self._session, self._controls.options.ascii
        at, model, record = session.debug.inspector.at, session.model, session.trace
        if self._refused():
            return
        if at is None or model is None or record is None:
            self._controls.say(NOWHERE)
            return
        prediction = session.debug.inspector.prediction
        if prediction is not None and (prediction.sample, prediction.position) != (session.sample, at):
            prediction = None
        question = f'position {at}: a text, in quotes to keep spaces: " sea"'
        if prediction is not None:
            top = [ranked.token for ranked in prediction.top[:TOP]]
            parts = named_parts(model, record.tokens(session.position, session.sample), at, top)
            names = (f"#{i} {named(token, model.pieces, parts, plain)}" for i, token in enumerate(top, 1))
            question = f"position {at}: a text, or the model's: {'  '.join(names)}"

        def put(text: str) -> None:
            token, held = token_of(text, model.pieces, prediction, model.mask_id, model.fragments)
            self._edit("force", at, (token,), held)

        self._panel.app.push_screen(
            BottomLine("token ", put, self._tokens, describe=lambda _: question, ascii_only=plain)
        )

    def set_prompt(self) -> None:
        """Ask for another prompt."""
        session, plain, infill = self._session, self._controls.options.ascii, self._controls.options.infill
        record, model = session.trace, session.model
        if record is None or model is None or self._refused():
            return
        position = session.position
        size = prompt_length(record, position, session.sample)
        locked = record.change(position, session.sample)[:size] == Change.LOCKED
        tokens = record.tokens(position, session.sample)[:size]
        now = prompt_text(tokens.tolist(), locked.tolist(), model.pieces, model.fragments)
        present = tuple(int(token) if stays else model.mask_id for token, stays in zip(tokens, locked, strict=True))
        read = prompt_tokens if infill else spell

        def begin(text: str) -> None:
            # what was not changed keeps its tokens, even those of a character that is not whole
            kept = text == now and (infill or bool(locked.all()))
            self._edit("prompt", 0, present if kept else read(text, model.pieces, model.mask_id, model.fragments))

        sign = newline_sign(now, plain)
        question = f"fixed at the start; {{mask}} or {{mask*8}} is filled; {sign} is a line break"
        self._panel.app.push_screen(
            BottomLine(
                "prompt ", begin, self._prompts, value=now, describe=lambda _: question, newline=sign,
                may_be_empty=True, ascii_only=plain,
            )
        )  # fmt: skip
