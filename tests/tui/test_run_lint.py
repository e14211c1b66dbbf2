"""A run that has ended is linted once, and the line says what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import lint
from engine.records import ModelChoice, Settings
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import run_lint
from remdm_tui.watch.key_names import key
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession
from tests.tui.scripted import ScriptedLink
from tests.waiting import eventually

OFF = Settings("remdm-cap", {"eta": 0.0})
"""The scripted link does not remask without eta."""


@pytest.fixture(autouse=True)
def lints_at_the_end() -> None:
    """Lint as a session does, unlike in the other tests."""


def session_of(settings: Settings, path: Path | None = None) -> WatchSession:
    options = WatchOptions(settings, ModelChoice("toy"), 12, 8, 1, 0, paused=False)
    session = WatchSession(options, ScriptedLink, RunRecording(path))
    session.start()
    return session


def finish(session: WatchSession) -> None:
    """Let the run go on to its end, with the view."""

    def over() -> bool:
        session.tick(0.05)
        return session.has_record and session.idle and session.position == 12

    eventually(over)


def noticed(session: WatchSession) -> bool:
    session.tick(0.05)
    return session.notice.text.startswith("lint:")


@pytest.mark.parametrize("kept", [True, False])
def test_a_finding_is_said_at_the_end_with_the_command_that_shows_it(tmp_path: Path, kept: bool) -> None:
    session = session_of(OFF, tmp_path / "my run.remdm" if kept else None)
    finish(session)
    eventually(lambda: noticed(session))
    assert "never-remasks" in session.notice.text
    file = tmp_path / "my run.remdm"
    command = f"(remdm-tui lint '{file}')" if kept else f"({key('keep')}: keep the recording, then "
    assert command in session.notice.text
    session.close()


def test_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(OFF)
    finish(session)
    eventually(lambda: noticed(session))
    session.dismiss()
    monkeypatch.setattr(run_lint.RunLint, "_lint", lambda *_: pytest.fail("linted again"))
    for _ in range(20):
        session.tick(0.05)
    assert session.notice.text == ""
    session.close()


def test_a_run_without_a_finding_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr(lint, "note", lambda outcomes: done.append(list(outcomes)) or "")
    session = session_of(OFF)
    finish(session)
    eventually(lambda: done)
    session.tick(0.05)
    assert "lint" not in session.notice.text
    session.close()


def test_another_notice_is_not_replaced() -> None:
    session = session_of(OFF)
    finish(session)
    session.notice = type(session.notice)("something else")
    found = run_lint.RunLint(lambda: session.recording.recording)
    assert found.tick(session.state, "") == ""
    eventually(lambda: found._found)
    assert found.tick(session.state, "") == ""
    session.dismiss()
    assert found.tick(session.state, "").startswith("lint:")
    session.close()
