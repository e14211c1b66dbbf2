"""A recording in the live view: what it shows is what was recorded, and no engine or torch is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from engine import wire
from engine.recording import Recorder, Recording
from engine.records import Branch, Edit
from engine.sampling.trace import Trace
from engine.strategies import catalogue
from remdm_tui.app import WatchApp
from remdm_tui.commands.replay import run
from remdm_tui.link.replay import READ_ONLY, ReplayLink, replay_options
from remdm_tui.watch.run_recording import RunRecording
from tests.engine.recordings import header, recorded, session_of, start_of
from tests.tui.test_app import written
from tests.waiting import seen


def replaying(path: Path) -> tuple[Recording, WatchApp]:
    recording = Recording.open(path)
    return recording, WatchApp(
        replay_options(recording),
        lambda: ReplayLink(recording, 0, catalogue()),
        recording=RunRecording(recording=recording),
    )


async def until(pilot: Pilot[None], true: Callable[[], object]) -> None:
    await seen(pilot, lambda _: true())


async def test_the_view_opens_at_the_start_and_steps_through_what_was_recorded(tmp_path: Path) -> None:
    trace: Trace = recorded(tmp_path / "run", prompt=(1, 2), steps=40)
    _, app = replaying(tmp_path / "run")
    async with app.run_test(size=(100, 30)) as pilot:
        watching = app.watching
        await until(pilot, lambda: watching.recorded)
        assert (watching.player.position, watching.recorded) == (0, 40)
        for key, position in (("right", 1), ("right", 2), ("end", 40), ("left", 39), ("home", 0)):
            await pilot.press(key)
            shown = app.refresh_clock.presenter._drawn._shown
            await until(pilot, lambda p=position, shown=shown: shown.get("canvas", (0, -1))[1] == p)  # type: ignore[index]
            assert watching.player.position == position
            assert app.main.panes.active._canvas is not None
            assert np.array_equal(app.main.panes.active._canvas.tokens, trace.tokens(position, 0))
            assert np.array_equal(app.main.panes.active._canvas.change, trace.change(position, 0))
        assert watching.failure is None
        assert "│ recording │" in written(app.main.status)


async def test_the_header_says_that_a_recording_is_damaged(tmp_path: Path) -> None:
    recorded(tmp_path / "run", steps=40)
    data = bytearray((tmp_path / "run").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "run").write_bytes(data)
    _, app = replaying(tmp_path / "run")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "│ damaged recording │" in written(app.main.status))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "│ damaged │" in written(app.main.status))


async def test_it_plays_to_the_end_and_adds_nothing(tmp_path: Path) -> None:
    recorded(tmp_path / "run", steps=40)
    _, app = replaying(tmp_path / "run")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.watching.recorded)
        await pilot.press("space")
        await until(pilot, lambda: app.watching.player.done)
        await pilot.press("right")
        await pilot.pause(0.1)
        assert app.watching.recorded == 40


async def test_a_knob_turned_and_a_damaged_end_are_reported(tmp_path: Path) -> None:
    recorded(tmp_path / "run", steps=40)
    with (tmp_path / "run").open("r+b") as file:
        file.truncate((tmp_path / "run").stat().st_size - 3)
    _, app = replaying(tmp_path / "run")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "breaks off: its last" in app.watching.notice.text)
        await pilot.press("E")
        await until(pilot, lambda: app.watching.notice.text == READ_ONLY)


async def test_a_recording_has_nothing_set_for_a_step_after_its_last(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=20)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    for frame in session:
        recorder.frame(0, frame)
        if frame.index == 9:
            session.set(top_p=0.3)
    recorder.close()
    _, app = replaying(tmp_path / "run")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.watching.has_record)
        for key, made, following in (("g", 0.9, 0.9), ("G", 0.3, 0.3)):
            await pilot.press(key)
            assert (app.watching.made.top_p, app.watching.upcoming.top_p) == (made, following)
        app.main.controls.seek(10)
        assert (app.watching.made.top_p, app.watching.upcoming.top_p) == (0.9, 0.3)


def test_a_replay_switches_branches_and_starts_none(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=20)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    for frame in islice(session, 20):
        recorder.frame(0, frame)
    session.fork(8)
    session.set(top_p=0.3)
    recorder.branch(0, 8)
    for frame in islice(session, 5):
        recorder.frame(1, frame)
    recorder.close()
    link = ReplayLink(Recording.open(tmp_path / "run"))
    link.switch(1)
    assert link.take() == [wire.Switched(1, 1, 13), wire.Finished(1, 1)]
    assert link.trace is not None
    assert np.array_equal(link.trace.tokens(13, 0), session.tokens[0])
    link.fork(Branch(2, 1, 4), link.trace)
    link.alter(Edit("mask", 0, 1))
    link.look(0, 0)
    assert [type(event) for event in link.take()] == [wire.Rejected] * 3
    with pytest.raises(ValueError, match="branches 0 to 1, not 2"):
        link.switch(2)


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"text", "is not a recording"), (b"\x89remdm\r\n\x63\0", "format 99")]
)
def test_what_cannot_be_replayed_is_reported_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        run(tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "none")


def test_a_branch_that_is_not_there_is_reported_before_the_screen_is_taken(tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    with pytest.raises(ValueError, match="branches 0 to 0, not 1"):
        run(tmp_path / "run", branch=1)


def test_replaying_loads_no_torch() -> None:
    program = (
        "import sys, remdm_tui.commands.replay, remdm_tui.app, remdm_tui.commands.export\n"
        "print(sorted({'torch', 'transformers', 'PIL', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("watch", "--record", "run"), ("replay", "run")])
def test_without_a_terminal_the_command_that_does_without_one_is_named(
    cli: Callable[..., Any], command: tuple[str, ...]
) -> None:
    result = cli(*command)
    assert result.exit_code == 2
    assert "needs a terminal" in result.output


def test_a_recording_is_exported_and_not_overwritten(cli: Callable[..., Any], tmp_path: Path) -> None:
    recorded(tmp_path / "run", steps=8)
    out = tmp_path / "run.csv"
    assert "8 steps" in cli("export", str(tmp_path / "run"), "--out", str(out)).output
    assert len(out.read_text().splitlines()) == 9
    again = cli("export", str(tmp_path / "run"), "--out", str(out))
    assert (again.exit_code, " exists: choose" in again.output) == (2, True)


def test_a_strategy_of_ones_own_is_begun_in_a_new_file(cli: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "mine.py"
    assert "--strategy-file" in cli("new-strategy", str(out)).output
    assert "(Strategy)" in out.read_text()
