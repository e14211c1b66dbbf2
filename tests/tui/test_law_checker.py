"""Laws in a recording: what a live run would have reported is reported again, without an engine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.debug.claims import Claims
from engine.debug.laws import LawState, check_laws
from engine.recording import Recorder, Recording
from engine.records import Frame, Settings
from engine.sampling.trace import RunStart
from engine.strategies import catalogue
from remdm_tui.app import WatchApp
from remdm_tui.link.law_checker import broken_laws
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.watch.run_recording import RunRecording
from tests.engine.recordings import header, recorded, session_of, start_of
from tests.waiting import seen

KNOWN = {info.name: info for info in catalogue()}


def written(path: Path, frames: list[Frame], start: RunStart) -> Recording:
    recorder = Recorder.create(path, header(start), start)
    for frame in frames:
        recorder.frame(0, frame)
    recorder.close()
    return Recording.open(path)


def cheating(path: Path, strategy: str = "remdm-cap") -> Recording:
    """Return a run with a network call too many at step 5, and a plan out of [0, 1] at step 9."""
    session = session_of("remdm-cap", steps=24)
    start, frames = start_of(session), list(session)
    for at in range(5, len(frames)):
        frames[at] = replace(frames[at], network_calls=frames[at].network_calls + 1)
    frames[9] = replace(frames[9], excess=0.25)
    return written(path, [replace(f, settings=Settings(strategy)) for f in frames], start)


def laws_of(recording: Recording) -> list[tuple[str, int]]:
    found = broken_laws(recording.trace(), recording.header, 0, KNOWN)
    return [(one.violation.law, one.violation.step) for one in found if one is not None]


@pytest.mark.parametrize("strategy", ["remdm-cap", "remdm-conf", "remdm-loop", "low-confidence"])
def test_a_correct_run_breaks_none(tmp_path: Path, strategy: str) -> None:
    recorded(tmp_path / "run", strategy)
    assert laws_of(Recording.open(tmp_path / "run")) == []


def test_what_a_run_has_broken_is_found_again(tmp_path: Path) -> None:
    recording = cheating(tmp_path / "run")
    assert laws_of(recording) == [("calls", 6), ("range", 10)]
    state, live = LawState(), []
    for position in range(1, len(recording.trace()) + 1):
        frame = recording.trace().frame(position)
        assert frame is not None
        state, found = check_laws(frame, Claims(True, frozenset()), state, (0, 12))
        live += [(one.law, one.step) for one in found]
    assert laws_of(recording) == live


def test_a_strategy_that_is_not_known_is_held_to_what_needs_no_claim(tmp_path: Path) -> None:
    assert laws_of(cheating(tmp_path / "run", strategy="mine")) == [("range", 10)]


async def test_a_replay_shows_the_formula(tmp_path: Path) -> None:
    recording = cheating(tmp_path / "run")
    app = WatchApp(
        replay_options(recording),
        lambda: ReplayLink(recording, 0, catalogue()),
        recording=RunRecording(recording=recording),
    )
    async with app.run_test(size=(100, 30)) as pilot:
        await seen(pilot, lambda app: len(app.watching.debug.findings.broken) == 2)
        await seen(pilot, lambda app: "calls at step 6: network calls =" in str(app.main.banner.render()))
        assert "(+1 more)" in str(app.main.banner.render())
        # it ends when the person goes on, and comes back at its step
        await pilot.press("right")
        await seen(pilot, lambda app: str(app.main.banner.render()) == "")
        await pilot.press(*["right"] * 5)
        await seen(pilot, lambda app: "calls at step 6: network calls =" in str(app.main.banner.render()))
        await pilot.press("escape")
        await seen(pilot, lambda app: str(app.main.banner.render()) == "")
    recording.close()


def test_it_needs_no_torch() -> None:
    program = "import sys, remdm_tui.link.law_checker; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
