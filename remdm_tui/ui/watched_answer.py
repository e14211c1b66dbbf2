"""The answer to the task that is watched, and whether it is right, as a line on screen."""

from __future__ import annotations

from engine.sampling.trace import Record
from remdm_tui.link.answers import AnswerProcess
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.answers import answer_line, answer_text
from remdm_tui.watch.session import WatchSession


class WatchedAnswer:
    """Has the answer on screen judged; without an item in the options there is none."""

    def __init__(self, options: WatchOptions) -> None:
        self._item, self._ascii = options.item, options.ascii
        self._judge = None if options.item is None else AnswerProcess(options.item)
        self.line = ""
        """what is shown"""

    @property
    def waiting(self) -> bool:
        """Whether an answer is being judged."""
        return self._judge is not None and self._judge.waiting

    def read(self, session: WatchSession, trace: Record) -> str:
        """Return the line for the step on screen."""
        if self._item is not None and self._judge is not None and session.model is not None:
            text = answer_text(trace, session.position, session.sample, self._item, session.model)
            self.line = answer_line(self._judge.judged(text), self._judge.problem, self._ascii)
        return self.line

    def close(self) -> None:
        """End the process that judges."""
        if self._judge is not None:
            self._judge.close()
