"""The one reporter of progress: plain lines, the live display of a terminal, and what either leaves behind."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from rich.text import Text

from remdm_tui.commands.progress import LiveDisplay, PlainLines, Silent, Status, hours, on_stderr, on_stdout
from remdm_tui.console.rich_console import SafeConsole

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal(io.StringIO):
    """A terminal as far as Rich looks at it."""

    def isatty(self) -> bool:
        return True


def plain(*times: float, **options: bool) -> tuple[PlainLines, list[str]]:
    lines: list[str] = []
    left = iter(times)
    return PlainLines(lines.append, lambda: next(left), **options), lines


Show = Callable[[], tuple[LiveDisplay, Terminal]]


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Return a function that puts a terminal in the place of standard error, as only the test itself can."""

    def show() -> tuple[LiveDisplay, Terminal]:
        monkeypatch.setenv("TERM", "xterm")
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        return LiveDisplay(SafeConsole(stderr=True, width=100, force_terminal=True)), terminal

    return show


def test_a_stage_has_a_first_and_a_last_line_and_few_between() -> None:
    reporter, lines = plain(0.0, 1.0, 9.0, 11.0, 12.0, 13.0)
    for done in (1, 2, 3, 4, 5):
        reporter.progress(Status("sampling", done, 5))
    reporter.progress(Status("scoring", 0, 3))
    assert [line.split("  ")[0] for line in lines] == [
        "sampling 1 of 5", "sampling 4 of 5", "sampling 5 of 5", "scoring 0 of 3",
    ]  # fmt: skip


def test_the_time_left_leaves_out_what_an_earlier_start_has_done() -> None:
    reporter, lines = plain(0.0, 10.0)
    reporter.progress(Status("sampling", 60, 100))
    reporter.progress(Status("sampling", 80, 100, figures="entropy 5.30"))
    assert lines == ["sampling 60 of 100", "sampling 80 of 100  entropy 5.30  0:00:10 left"]


def test_a_command_that_knows_the_time_left_is_believed() -> None:
    reporter, lines = plain(0.0)
    reporter.progress(Status("training", 1, 9, "step 1/9", "loss 2", seconds_left=3725.0))
    assert lines == ["step 1/9  loss 2  1:02:05 left"]
    assert hours(59.9) == "0:00:59"


def test_a_status_that_is_due_is_written_at_once() -> None:
    reporter, lines = plain(0.0, 1.0, 2.0)
    for number in range(3):
        reporter.progress(Status("training", text=f"step {number}", is_due=number == 2))
    assert lines == ["step 0", "step 2"]


def test_messages_are_one_line_without_a_character_that_acts_on_a_terminal() -> None:
    reporter, lines = plain()
    reporter.message("a\x1b[2J\nb")
    assert lines == ["a␛[2J↵b"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["loading x ...", "reading the file  0 B", "sampling 1 of 2"]),
        ({"waits": False}, ["sampling 1 of 2"]),
        ({"lines": False}, []),
    ],
)
def test_what_a_pipe_gets_is_the_commands_choice(options: dict[str, bool], expected: list[str]) -> None:
    reporter, lines = plain(0.0, 1.0, **options)
    with reporter.waiting("loading x"):
        reporter.loading("reading the file", 1, 0)
    reporter.progress(Status("sampling", 1, 2))
    assert [line[:13] for line in lines] == [line[:13] for line in expected]


def test_the_reporter_follows_what_the_output_is(live: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    _, terminal = live()
    assert isinstance(on_stderr(), LiveDisplay)
    assert isinstance(on_stderr(quiet=True), PlainLines)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(on_stdout(), PlainLines)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert isinstance(on_stdout(), LiveDisplay)


def test_a_quiet_command_still_writes_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    reporter = on_stderr(quiet=True)
    reporter.progress(Status("sampling", 1, 2))
    reporter.message("damaged line 3")
    assert sys.stderr.getvalue() == "damaged line 3\n"  # type: ignore[attr-defined]


def test_a_bar_and_its_figures_are_shown_and_leave_no_trace(live: Show) -> None:
    reporter, terminal = live()
    with reporter:
        reporter.progress(Status("sampling", 1, 2, figures="entropy 5.30"))
        reporter.progress(Status("sampling", 2, 2, figures="entropy 5.25"))
        reporter.message("one that stays")
    written = terminal.getvalue()
    for part in ("sampling", "2/2", "entropy 5.25", "one that stays"):
        assert part in written
    assert written.count(HIDE) == written.count(SHOW) == 1
    # erased: after the last bar the cursor goes up and the line is cleared
    assert written.endswith("\x1b[1A\x1b[2K")


def test_a_picture_stays_as_the_last_state(live: Show) -> None:
    reporter, terminal = live()
    with reporter:
        reporter.progress(Status("training", 1, 2, picture=lambda: Text("the panel")))
    assert not terminal.getvalue().endswith("\x1b[2K")
    assert "the panel" in terminal.getvalue()


def test_the_display_goes_from_a_stage_to_the_next_without_being_taken_down(live: Show) -> None:
    reporter, terminal = live()
    with reporter:
        reporter.loading("reading", 1, 2)
        for stage in ("sampling", "scoring"):
            reporter.progress(Status(stage, 1, 2))
        reporter.progress(Status("comparing"))
    assert terminal.getvalue().count(HIDE) == 1


@pytest.mark.parametrize(
    "show",
    [
        lambda reporter: reporter.progress(Status("sampling", 1, 2)),
        lambda reporter: reporter.loading("reading", 1, 2),
        lambda reporter: reporter.waiting("loading").__enter__(),
    ],
)
def test_an_interrupt_leaves_a_clean_terminal(live: Show, show: Callable[[LiveDisplay], object]) -> None:
    reporter, terminal = live()
    with suppress(KeyboardInterrupt), reporter:
        show(reporter)
        raise KeyboardInterrupt
    written = terminal.getvalue()
    assert written.rindex(SHOW) > written.rindex(HIDE)
    assert written.endswith("\x1b[1A\x1b[2K")
    # what libraries print goes to the stream itself again
    assert sys.stderr is terminal


def test_a_stopped_display_starts_again_at_the_next_status(live: Show) -> None:
    reporter, terminal = live()
    with reporter:
        for done in (1, 2):
            reporter.progress(Status("sampling", done, 2))
            reporter.stop()
    assert terminal.getvalue().count(HIDE) == terminal.getvalue().count(SHOW) == 2


def test_names_of_strangers_cannot_act_on_the_terminal(live: Show) -> None:
    reporter, terminal = live()
    with reporter:
        reporter.loading("reading \x1b]52;c;x\x07", 0, 0)
        reporter.progress(Status("\x1b[2Jsampling", 1, 2, figures="\x9b1m[bold]"))
    for sequence in ("\x1b]52", "\x1b[2J", "\x07", "\x9b"):
        assert sequence not in terminal.getvalue()
    assert "[bold]" in terminal.getvalue()


def test_the_other_processes_show_nothing(live: Show) -> None:
    _, terminal = live()
    with Silent() as reporter, reporter.waiting("loading"):
        reporter.loading("reading", 1, 2)
        reporter.progress(Status("sampling", 1, 2))
        reporter.message("hello")
    assert terminal.getvalue() == ""
