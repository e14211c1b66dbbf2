"""Exports of the watch screen: ask for the file, write it in a thread, show the result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.message import Message
from textual.screen import Screen

from engine.files.atomic import discard
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import EXPORT_KINDS
from remdm_tui.exports.scene import NARROWEST, WIDEST
from remdm_tui.exports.screen import SCREEN_KINDS, page_of, screen_kind_of, write_screen
from remdm_tui.exports.writing import kind_of, write_export
from remdm_tui.screens.line import LineScreen
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.watch.run_recording import describe_error


class ExportEnded(Message):
    """An export has ended, well or with an error."""

    def __init__(self, out: Path, sentence: str, error: bool) -> None:
        super().__init__()
        self.out, self.sentence, self.error = out, sentence, error


class Exporter:
    """Writes exports of one screen, several at a time; each posts `ExportEnded` to the screen when it ends."""

    def __init__(self, screen: Screen[None], controls: Controls) -> None:
        self._screen, self._controls, self._session = screen, controls, controls.session
        self._under_way: set[Path] = set()

    def ask(self, kind: str, columns: int) -> None:
        """Ask for a file and export the recording to it in `columns` columns."""
        step = "" if EXPORT_KINDS[kind].moving else f"-step-{self._session.player.position}"
        question = f"File to write. Its suffix sets the format: {' '.join(EXPORT_KINDS)}"
        self._ask("export", question, f"run-{self._session.seed}{step}.{kind}", lambda text: self.export(text, columns))

    def ask_screen(self, kind: str) -> None:
        """Ask for a file and export the screen as it is now."""
        # the compositor is what Textual's own screenshots are made of
        page, columns = page_of(self._screen._compositor.render_strips()), self._screen.size.width
        light = not self._screen.app.current_theme.dark

        def accept(text: str) -> None:
            out = self._new_file(text)
            screen_kind_of(out)
            self._write(out, lambda: write_screen(page, columns, out, light))

        question = f"File to write. Its suffix sets the format: {' '.join(SCREEN_KINDS)}"
        name = f"screen-{self._session.seed}-step-{self._session.player.position}.{kind}"
        self._ask("export the screen", question, name, accept)

    def export(self, text: str, columns: int) -> None:
        """Export the recording to the file that `text` names.  Raises ValueError for an unusable file name."""
        out, session = self._new_file(text), self._session
        kind, source = kind_of(out), session.recording.recording
        more: dict[str, Any] = {
            "step": min(session.player.position, session.recorded), "sample": session.sample,
            "branch": session.debug.branches.current, "light": not self._screen.app.current_theme.dark,
            "columns": min(max(NARROWEST, columns), WIDEST), "ascii_only": self._controls.options.ascii,
        }  # fmt: skip

        def job() -> str:
            # what is exported does not grow while it is written
            copy = source.copy()
            try:
                return write_export(copy, out, kind, **more)
            finally:
                copy.close()

        self._write(out, job)

    def done(self, event: ExportEnded) -> None:
        """Show the result of an export."""
        self._under_way.discard(event.out)
        self._controls.say(event.sentence, "failure" if event.error else "note")

    def abandon(self) -> None:
        """Remove unfinished files."""
        for out in self._under_way:
            discard(out)

    def _ask(self, title: str, question: str, name: str, accept: Callable[[str], None]) -> None:
        self._screen.app.push_screen(LineScreen(title, question, name, self._controls.options.ascii, accept))

    def _new_file(self, text: str) -> Path:
        """Return the path that `text` names.  Raises ValueError if it exists or is being written."""
        if not text.strip():
            raise ValueError("Type a file name")
        out = Path(text.strip()).expanduser()
        if out.exists():
            raise ValueError(f"{out} exists already. Choose another name")
        if out in self._under_way:
            raise ValueError(f"Still writing {out}")
        return out

    def _write(self, out: Path, job: Callable[[], str]) -> None:
        """Run the job in a thread."""
        self._under_way.add(out)
        self._controls.say(f"Writing {out} ...", "note")

        def work() -> None:
            try:
                sentence, error = f"Exported {job()}", False
            except (OSError, ValueError) as problem:
                sentence, error = f"Cannot write {out}: {describe_error(problem)}", True
            self._screen.post_message(ExportEnded(out, sanitize(sentence, cells=True), error))

        threading.Thread(target=work, daemon=True, name="export").start()
