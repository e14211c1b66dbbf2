"""How the application ends, stops and goes on: by signals, by a terminal that goes, by a bug, by ctrl+z."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from engine.recording import Recording
from engine.records import Settings
from remdm_tui.app import WatchApp
from remdm_tui.console.signals import ENDING
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.metered_driver import HungUp, screen_file
from remdm_tui.ui.run_app import crashing_threads
from remdm_tui.watch.session import WatchSession
from tests.engine.recordings import recorded
from tests.tui.scripted import ScriptedLink
from tests.tui.terminal import with_forked_engine
from tests.waiting import seen

RUN = ("watch", "--fresh", "--steps", "4000", "--length", "32")
REPLAYED = "/24"
"""What the header of a replay of `recorded` shows."""
MODES = (b"?1049", b"?1000", b"?1003", b"?1006", b"?2004", b"?1004")
"""The alternate screen, reports of the mouse, bracketed paste and focus."""


def watching():
    return WatchApp(WatchOptions(settings=Settings("remdm-cap")), ScriptedLink)


def reset(raw):
    """Return the modes that were set and not reset."""
    return [mode for mode in MODES if raw.rfind(b"\x1b[" + mode + b"h") > raw.rfind(b"\x1b[" + mode + b"l")]


def test_a_signal_ends_as_q_does(terminal, tmp_path):
    file = tmp_path / "run.remdm"
    person = terminal(*RUN, "--record", str(file))
    person.wait(lambda s: "/ 4000" in s or "/4000" in s)
    (engine,) = person.children()
    person.process.send_signal(signal.SIGTERM)
    assert person.exit_code() == 143
    assert person.restored()
    assert reset(person.raw) == []
    assert b"\x1b[<u" in person.raw
    assert b"Traceback" not in person.raw
    assert not Path(f"/proc/{engine}").exists()
    recording = Recording.open(file)
    assert recording.damage == ""
    recording.close()


def test_a_signal_ends_a_replay_too(terminal, tmp_path):
    recorded(tmp_path / "run.remdm")
    again = terminal("replay", str(tmp_path / "run.remdm"))
    again.wait(lambda s: REPLAYED in s.replace(" / ", "/"))
    again.process.send_signal(signal.SIGTERM)
    assert again.exit_code() == 143
    assert again.restored()


# pytest's limit of time has the alarm
@pytest.mark.parametrize("number", sorted({*ENDING} - {signal.SIGALRM}))
async def test_what_is_signalled_to_end_keeps_its_status_and_gives_the_signals_back(number):
    before = signal.getsignal(number)
    app = watching()
    async with app.run_test() as pilot:
        assert signal.getsignal(number) != before
        os.kill(os.getpid(), number)
        await seen(pilot, lambda app: app.return_code is not None)
        app.exit()
        assert app.return_code == 128 + number
    assert signal.getsignal(number) == before


async def test_nothing_begins_once_the_end_has_begun(monkeypatch):
    app = watching()
    async with app.run_test():
        app.exit(return_code=143)
        app._start()
        for action in ("app.tour", "legend", "model", "help"):
            assert not await app.run_action(action)
        asking = replace(app.watching.state, needs_model="another model")
        monkeypatch.setattr(WatchSession, "state", asking)
        app.refresh_clock.tick()
    assert app.return_code == 143


async def test_nothing_is_drawn_where_the_widgets_have_gone():
    app = watching()
    async with app.run_test() as pilot:
        await app.main.panes.remove()
        app.refresh_clock.tick()
        await pilot.pause()


async def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        app = watching()
        async with app.run_test():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_signal_that_another_handles_stays_its_own():
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        app = watching()
        async with app.run_test():
            assert signal.SIGALRM not in [number for number, _ in app._signals]
    finally:
        signal.signal(signal.SIGALRM, before)


async def test_a_terminal_that_has_gone_is_reported_by_the_status():
    app = watching()
    async with app.run_test() as pilot:
        app.post_message(HungUp())
        await seen(pilot, lambda app: app.return_code is not None)
    assert app.return_code == 129


async def test_a_thread_that_fails_ends_the_application_with_1():
    app = watching()
    with crashing_threads(app):
        async with app.run_test() as pilot:
            threading.Thread(target=lambda: {}["nothing"]).start()
            await seen(pilot, lambda app: app.return_code is not None)
            app.exit()
    assert app.return_code == 1


CRASHING = """
import sys
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.ui import keyboard, metered_driver

class Broken(keyboard.Keyboard):
    def feed(self, data):
        raise RuntimeError("a bug of \\x1b]0;title\\x07 ours")

def action_legend(self):
    raise RuntimeError("a bug of \\x1b]0;title\\x07 ours")

if sys.argv.pop() == "input":
    metered_driver.Keyboard = Broken
else:
    WatchScreen.action_legend = action_legend
from remdm_tui.cli import main
main()
"""


@pytest.mark.parametrize("place", ["input", "handler"])
def test_a_bug_never_ends_with_0(terminal, place):
    person = terminal(*RUN, "--paused", place, command=with_forked_engine(CRASHING))
    person.wait(lambda s: "/ 4000" in s or "/4000" in s)
    person.press("I")
    assert person.exit_code() == 1
    assert person.restored()
    assert b"a bug of" in person.raw
    assert b"\x1b]0;" not in person.raw


def in_a_shell(terminal, run=(*RUN, "--paused"), shows="0/4000", end="", **environment):
    """Return a person who has started a paused run from a shell with job control."""
    line = shlex.join([*with_forked_engine(), *run])
    person = terminal(command=("bash", "--norc", "--noprofile", "-i"), PS1="PROMPT> ", **environment)
    person.wait(lambda s: "PROMPT>" in s)
    person.press(f"{line}{end}\r")
    person.wait(lambda s: shows in s.replace(" / ", "/"))
    return person


def killed(person, name):
    """Have the shell end its job; return what was written from then on, once the shell has told the status."""
    before = len(person.raw)
    person.press(f"kill -{name} %1; wait -f %1; echo status$?\r")
    person.wait_written(b"status%d" % (128 + signal.Signals[f"SIG{name}"]), since=before)
    return person.raw[before:]


def stopped(person, stop, *arguments):
    """Stop the run; return once the shell has said so and asks for the next command."""
    before = len(person.raw)
    stop(*arguments)
    person.wait_written(b"Stopped", b"PROMPT>", since=before)


def assert_shell_answers(person):
    """What is typed is shown and carried out: the terminal is not raw."""
    before = len(person.raw)
    person.press("echo over$((41+1))\r")
    person.wait_written(b"echo over$((41+1))", b"over42", since=before)


def foreground(person):
    """Continue the stopped run; return once the terminal is its own, raw and painted."""
    before = len(person.raw)
    person.press("fg\r")
    (program,) = person.children()
    person.wait(lambda _: person.owner() == program and person.is_raw())
    person.wait_written(b"0/4000", since=before)


def quit_to_the_shell(person):
    before = len(person.raw)
    person.press("q")
    person.wait_written(b"PROMPT>", since=before)


def test_ctrl_z_gives_the_shell_back_and_fg_returns(terminal):
    person = in_a_shell(terminal)
    (program,) = person.children()
    for number in ("one", "two"):
        stopped(person, person.press, "\x1a")
        # readline asks for bracketed paste itself
        assert reset(person.raw) in ([], [b"?2004"])
        before = len(person.raw)
        person.press(f"echo {number}$((41+1))\r")
        person.wait_written(b"%s42" % number.encode(), b"PROMPT>", since=before)
        foreground(person)

    # in the background it stops again
    stopped(person, person.press, "\x1a")
    before = len(person.raw)
    person.press("bg; wait %1; echo stopped$((41+1))\r")
    person.wait_written(b"stopped42", b"PROMPT>", since=before)
    person.wait(lambda _: Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    foreground(person)

    # and a stop that cannot be caught is recovered from
    stop_from_outside(person)
    foreground(person)
    quit_to_the_shell(person)
    assert_shell_answers(person)
    person.press("exit $?\r")
    assert person.exit_code() == 0


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_a_signal_ends_what_has_stopped_and_leaves_the_shell_its_terminal(terminal, name):
    person = in_a_shell(terminal)
    stopped(person, person.press, "\x1a")
    written = killed(person, name)
    assert not any(mode in written for mode in (b"?1049", b"?1003"))
    assert_shell_answers(person)


def stop_from_outside(person):
    (program,) = person.children()
    stopped(person, os.kill, program, signal.SIGSTOP)


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_a_signal_ends_what_was_stopped_from_outside_and_resets_the_terminal(terminal, tmp_path, name):
    person = in_a_shell(terminal, XDG_STATE_HOME=str(tmp_path))
    stop_from_outside(person)
    killed(person, name)
    assert (tmp_path / "remdm-tui" / "session.json").exists()
    # readline asks for bracketed paste itself
    assert reset(person.raw) in ([], [b"?2004"])
    assert person.raw.rfind(b"\x1b[?25h") > person.raw.rfind(b"\x1b[?25l")
    assert_shell_answers(person)


def test_a_signal_ends_a_replay_that_was_stopped_from_outside(terminal, tmp_path):
    recorded(tmp_path / "run.remdm")
    person = in_a_shell(terminal, ("replay", str(tmp_path / "run.remdm")), REPLAYED)
    stop_from_outside(person)
    killed(person, "TERM")
    assert reset(person.raw) in ([], [b"?2004"])
    assert_shell_answers(person)


def test_what_was_begun_in_the_background_waits_for_the_terminal(terminal):
    person = in_a_shell(terminal, end=" & wait %1; echo stopped$((41+1))", shows="stopped42")
    assert reset(person.raw) in ([], [b"?2004"])
    foreground(person)
    quit_to_the_shell(person)
    assert_shell_answers(person)


def test_what_was_begun_in_the_background_is_ended_by_a_signal(terminal):
    person = in_a_shell(terminal, end=" & wait %1; echo stopped$((41+1))", shows="stopped42")
    assert b"Traceback" not in killed(person, "TERM")
    assert b"?1049h" not in person.raw
    assert_shell_answers(person)


@pytest.mark.parametrize("sequence", [b"\x1b[?1049h", b"\x1b[?2004h"])
def test_a_signal_ends_what_is_still_starting(terminal, sequence):
    person = terminal(*RUN)
    person.wait(lambda _: sequence in person.raw)
    person.process.send_signal(signal.SIGTERM)
    assert person.exit_code() == 143
    assert person.restored()
    assert b"Error" not in person.raw


def test_ctrl_z_without_a_shell_says_so(terminal):
    person = terminal(*RUN, "--paused")
    person.wait(lambda s: "0 / 4000" in s or "0/4000" in s)
    person.press("\x1a")
    person.wait(lambda s: "No shell to return to" in s)
    person.press("q")
    assert person.exit_code() == 0


def test_the_screen_is_a_terminal_where_errors_go_elsewhere(monkeypatch, tmp_path):
    ours, theirs = os.openpty()
    with open(tmp_path / "log", "w") as log, os.fdopen(theirs, "w") as output, os.fdopen(ours, "rb"):
        monkeypatch.setattr(sys, "__stdout__", output)
        for error in (log, None):
            monkeypatch.setattr(sys, "__stderr__", error)
            assert screen_file() is output
        monkeypatch.setattr(sys, "__stdout__", log)
        monkeypatch.setattr(sys, "__stderr__", output)
        assert screen_file() is output
