"""A run is recorded while it goes on, and what cannot be recorded is reported."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from engine.recording import Recorder, Recording
from engine.records import ModelChoice, RunChoice
from engine.sampling.trace import Trace
from remdm_tui.app import WatchApp
from remdm_tui.link.base import Died, Unwritten
from remdm_tui.link.process import ProcessLink
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch.run_recording import RunRecording
from tests import forks
from tests.engine.recordings import header, session_of, start_of
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, banner, settle, watching
from tests.tui.test_link import RUN, start_run, wait_for
from tests.waiting import eventually, seen


def started_recording(path: Path | None = None, **more):
    session = session_of("remdm-cap", **more)
    start = start_of(session)
    run_recording = RunRecording(path, clock=lambda: 1.8e9)
    run_recording.expect(ModelChoice("toy"), header(start).model, RunChoice(start.steps, 12, 2), {"torch": "2"})
    return run_recording, run_recording.make(start), session


def test_a_spool_that_is_kept_holds_the_run_and_what_follows(tmp_path):
    run_recording, record, session = started_recording()
    frames = list(islice(session, 24))
    for frame in frames[:10]:
        record.append(frame)
    assert list(tmp_path.iterdir()) == []
    assert "run.remdm" in run_recording.keep(tmp_path / "run")
    for frame in frames[10:]:
        record.append(frame)
    run_recording.close()
    kept = Recording.open(tmp_path / "run.remdm")
    assert [kept.trace().frame(i + 1).network_calls for i in range(24)] == [frame.network_calls for frame in frames]
    assert kept.header.versions == {"torch": "2"}
    kept.close()


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "run.remdm").write_text("mine")
    run_recording, _, _ = started_recording()
    with pytest.raises(ValueError, match="exists: choose another name"):
        run_recording.keep(tmp_path / "run.remdm")
    assert (tmp_path / "run.remdm").read_text() == "mine"


def test_a_second_run_is_recorded_in_a_file_of_its_own(tmp_path):
    run_recording, _, session = started_recording(tmp_path / "run.remdm")
    run_recording.make(start_of(session))
    run_recording.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-2.remdm", "run.remdm"]


def test_a_file_that_cannot_be_made_is_reported_and_the_run_is_kept_until_the_end(tmp_path):
    run_recording, record, session = started_recording(tmp_path / "none" / "run.remdm")
    assert "Not recording" in run_recording.problem
    assert "No such file" in run_recording.problem
    for frame in islice(session, 3):
        record.append(frame)
    run_recording.keep(tmp_path / "run")
    run_recording.close()
    assert run_recording.files == [str(tmp_path / "run.remdm")]


def unwritable(monkeypatch, *kinds: str) -> None:
    """Let no recorder of these kinds be made."""

    def refuse(header, start):
        raise OSError(errno.ENOSPC, "No space left on device")

    for kind in kinds:
        monkeypatch.setattr(Recorder, kind, refuse)


def test_without_a_writable_directory_the_run_is_in_a_file_in_memory(monkeypatch, tmp_path):
    unwritable(monkeypatch, "spool")
    run_recording, record, session = started_recording()
    assert "No space left" in run_recording.problem
    for frame in islice(session, 3):
        record.append(frame)
    run_recording.make(start_of(session))
    assert "Run 1 is kept" in run_recording.tidy()
    run_recording.keep_left(run_recording.left.listed[0], tmp_path / "saved")
    with closing(Recording.open(tmp_path / "saved.remdm")) as saved:
        assert len(saved.trace()) == 3
    run_recording.close()


def test_a_file_that_cannot_be_finished_is_still_listed_and_that_is_reported(monkeypatch, tmp_path):
    run_recording, record, session = started_recording(tmp_path / "run.remdm")
    for frame in islice(session, 3):
        record.append(frame)
    run_recording.make(start_of(session))

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert f"Run 1 is in {tmp_path / 'run.remdm'} (" in run_recording.tidy()
    with closing(run_recording.left.listed[0].open()) as left:
        assert len(left.trace()) == 3


def test_a_run_in_plain_memory_is_reported_not_to_be_replaceable(monkeypatch):
    unwritable(monkeypatch, "spool", "in_memory")
    run_recording, record, session = started_recording()
    assert isinstance(record, Trace)
    assert run_recording.replaceable
    record.append(next(iter(session)))
    assert not run_recording.replaceable


@pytest.mark.parametrize("kept", [True, False], ids=["recorded", "in memory"])
def test_branches_share_the_steps_before_their_fork(monkeypatch, kept):
    if not kept:
        unwritable(monkeypatch, "spool", "in_memory")
    run_recording, record, session = started_recording()
    for frame in islice(session, 24):
        record.append(frame)
    branch, other = run_recording.fork(0, 9)
    assert (branch.id, branch.parent, branch.at, len(other)) == (1, 0, 9, 9)
    other.append(record.frame(10))
    assert [one.id for one in run_recording.branches] == [0, 1]
    assert len(run_recording.record(1)) == 10
    assert np.array_equal(run_recording.record(1).tokens(7, 1), record.tokens(7, 1))


async def test_w_keeps_the_run_on_screen(tmp_path):
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "w")
        await pilot.pause()
        line = pilot.app.screen.query_one("Input")
        line.value = str(tmp_path / "none" / "run")
        await pilot.press("enter")
        assert "No such file" in str(pilot.app.screen.query_one(".error").render())
        line.value = str(tmp_path / "run")
        await pilot.press("enter")
        await seen(pilot, lambda app: f"Recording to {tmp_path / 'run.remdm'}" in banner(app))
        await pilot.press("right")
        await settle(pilot)
    recording = Recording.open(tmp_path / "run.remdm")
    assert len(recording.trace()) == 3
    recording.close()


async def test_a_file_damaged_under_the_view_is_a_banner_and_not_the_end(tmp_path):
    app = WatchApp(WatchOptions(CAP, steps=400, length=64, record=tmp_path / "run"), ScriptedLink)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        with (tmp_path / "run").open("r+b") as file:
            file.seek(2_000)
            file.write(b"\0" * 4_000)
        app.watching.recording.record(0).recording._steps._cache.clear()
        await pilot.press("g")
        for _ in range(8):
            await pilot.press("L")
        await seen(pilot, lambda app: "is damaged" in banner(app))
        await pilot.press("g")
        await settle(pilot)
        assert app.watching.player.position == 0


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/run\x1b.remdm")


class Full(Trace):
    """A record on a disk with room for five frames."""

    def append(self, frame):
        if len(self) == 5:
            raise FULL
        super().append(frame)


def test_a_full_disk_ends_the_record_and_not_the_thread_that_reads():
    link = ProcessLink(forks.engine())
    link.make_record = Full
    link.start()
    start_run(link)
    link.begin(CAP, RUN)
    link.demand(8, renew=True)
    assert wait_for(link, Unwritten).error is FULL
    assert (len(link.trace), link.outstanding) == (5, 0)
    link.make_record = Trace
    link.begin(CAP, RUN)
    link.demand(3, renew=False)
    eventually(lambda: len(link.trace) == 3)
    link.close()


async def test_a_full_disk_is_a_banner_and_R_goes_on():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right")
        await settle(pilot)
        link.events.append(Unwritten(FULL))
        await seen(pilot, lambda app: "/there/run␛.remdm: No space left on device" in banner(app))
        await pilot.press("R")
        await settle(pilot)
        await pilot.press("right")
        await settle(pilot)
        assert len(link.trace) == 3


@pytest.mark.parametrize(("was", "now"), [("", ""), ("", "a"), ("a", ""), ("a", "a")])
def test_a_recording_is_continued_by_the_model_that_made_it(tmp_path, was, now):
    run_recording, model = opened_recording(tmp_path, was)
    run_recording.append_to(tmp_path / "run.remdm", replace(model, fingerprint=now))
    assert run_recording.writable
    run_recording.close()


def test_a_recording_of_another_model_of_the_same_name_is_not_continued(tmp_path):
    run_recording, model = opened_recording(tmp_path, "a")
    before = (tmp_path / "run.remdm").read_bytes()
    with pytest.raises(ValueError, match="was recorded with another toy"):
        run_recording.append_to(tmp_path / "run.remdm", replace(model, fingerprint="b"))
    assert not run_recording.writable
    assert (tmp_path / "run.remdm").read_bytes() == before


def opened_recording(home: Path, fingerprint: str):
    """A recording that somebody wants to continue, and the model that made it."""
    session = session_of("remdm-cap")
    start = start_of(session)
    model = replace(header(start).model, fingerprint=fingerprint)
    made = RunRecording(home / "run.remdm", clock=lambda: 1.8e9)
    made.expect(ModelChoice("toy"), model, RunChoice(start.steps, 12, 2), {})
    record = made.make(start)
    for frame in islice(session, 5):
        record.append(frame)
    made.close()
    return RunRecording(recording=Recording.open(home / "run.remdm"), resume=True), model


class Changing(ScriptedLink):
    """A link to an engine whose model's files change after the first load."""

    def info(self, choice):
        return replace(super().info(choice), fingerprint="first" if len(self.opened) == 1 else "second")


async def test_an_engine_that_comes_back_with_another_model_does_not_continue_the_record():
    link = Changing()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right")
        await settle(pilot)
        link.events.append(Died(-signal.SIGKILL, ""))
        await settle(pilot, lambda app: app.watching.notice.error)
        await pilot.press("R")
        await settle(pilot, lambda app: "has changed since this run began" in app.watching.notice.text)
        assert (len(link.seeds), len(link.trace)) == (1, 3)
        await pilot.press("r")
        await settle(pilot, lambda app: len(link.seeds) == 2 and app.watching.live)
        assert pilot.app.watching.model.fingerprint == "second"
        assert pilot.app.watching.recording.recording.header.model.fingerprint == "second"
