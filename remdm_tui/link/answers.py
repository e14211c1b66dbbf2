"""Answers to a task on screen: the task's own judge in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from engine.files.jsonl import DAMAGED
from engine.tasks.questions import AnswerVerdict
from remdm_tui.settings.watched_item import WatchedItem

COMMAND = (sys.executable, "-P", "-m", "engine.tasks.judge_answers")


class AnswerProcess:
    """Judges texts, one at a time, and remembers the verdicts."""

    def __init__(self, item: WatchedItem, command: Sequence[str] = COMMAND) -> None:
        consent = ["--trust-remote-code"] * item.trusted + ["--allow-code-execution"] * item.runs_code
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [*command, str(item.home), item.key, *consent],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        self._known: dict[str, AnswerVerdict] = {}
        self._sent: str | None = None
        self.problem = ""
        """why nothing is judged any more"""
        self._thread = threading.Thread(target=self._listen, daemon=True, name="answers")
        self._thread.start()

    @property
    def waiting(self) -> bool:
        """Whether a text has been sent and not been judged yet."""
        return self._sent is not None and not self.problem

    def judged(self, text: str) -> AnswerVerdict | None:
        """Return what the task says of a text; None while that is unknown: it is sent as soon as it can be."""
        found = self._known.get(text)
        if found is None and self._sent is None and not self.problem:
            self._sent = text
            self._send(text)
        return found

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        # a process that has ended is reported by the thread that listens
        with suppress(OSError):
            self._process.stdin.write(json.dumps(text).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            sent = self._sent
            try:
                verdict = msgspec.json.decode(line, type=AnswerVerdict)
            except DAMAGED:
                break
            if sent is not None:
                self._known[sent] = verdict
            self._sent = None
        self._fail()

    def _fail(self) -> None:
        """Take the last line of the log as the reason."""
        self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        self.problem = self.problem or (lines[-1] if lines else "it was ended")

    def close(self) -> None:
        """End the process."""
        self.problem = self.problem or "it was ended"
        self._process.kill()
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            with suppress(OSError):
                stream.close()
