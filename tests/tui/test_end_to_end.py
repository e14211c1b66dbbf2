"""The whole thing: the real command, the demo model, a terminal, a person's keys."""

import gc
import os
import re
import signal
from itertools import takewhile

import pytest
from typer.testing import CliRunner

import remdm_tui.app
from remdm_tui.cli import app, watch
from tests.tui.terminal import COMMAND
from tests.tui.test_keyboard import REPORTS
from tests.waiting import PATIENCE, eventually, gone

SMALL = ["watch", "--steps", "64", "--length", "48", "--seed", "3"]
LONG = "100000"
"""Steps that take longer than any test."""


def at(screen):
    """(position, total) of the status line."""
    found = re.search(r"(\d+)/(\d+)", screen.splitlines()[0])
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def text(screen):
    """The inside of the text box, above the map."""
    lines = takewhile(lambda line: "map: " not in line, screen.splitlines()[2:35])
    return "\n".join(line[1:79] for line in lines)


def words(screen):
    """What is legible in the text box."""
    return re.findall(r"[a-z]{2,}", text(screen))


def masks(screen):
    return text(screen).count("░░░")


def written(screen):
    """Whether the run is done and on screen."""
    return "done" in screen.splitlines()[0] and not masks(screen) and bool(words(screen))


def halfway(screen):
    """Whether the run stands at its breakpoint, masks and all."""
    return at(screen)[0] == 32 and "stopped at step 32" in screen and masks(screen) > 0


def refused(screen):
    """Whether the dialog says that a model is not one; where the sentence wraps follows from the length of its path."""
    return "configuration:" in screen and "enter loads" in screen


def test_a_person_watches_turns_knobs_steps_back_and_quits(terminal):
    # the one whose engine is started as everybody's is
    person = terminal(*SMALL, "--paused", "--prompt", "It was", command=COMMAND)
    person.wait(lambda s: at(s) == (0, 64) and masks(s) > 40 and "It was" in text(s))

    person.press("lll")
    person.wait(lambda s: at(s)[0] == 3)
    person.press("s")
    person.wait(lambda s: "remdm-rescale" in s.splitlines()[0])
    person.press("E")
    person.wait(lambda s: "eta=0.022" in s.splitlines()[0] or "eta=0.017" in s.splitlines()[0])
    person.press("P")
    person.wait(lambda s: "top_p=0.92" in s.splitlines()[0])
    person.press(" ")
    screen = person.wait(written)
    assert at(screen)[0] >= 64
    assert len(words(screen)) > 10

    person.press("hh")
    person.wait(lambda s: at(s)[0] == at(screen)[0] - 2)
    person.press("g")
    person.wait(lambda s: at(s)[0] == 0 and masks(s) > 40)
    person.press("G")
    assert words(person.wait(lambda s: at(s)[0] == at(screen)[0] and not masks(s))) == words(screen)

    person.press("q")
    assert person.exit_code() == 0
    assert person.restored()


def test_the_same_seed_writes_the_same_text_again(terminal):
    person = terminal(*SMALL, "--break", "step 32")
    person.wait(halfway)
    person.press(" ")
    first = words(person.wait(written))
    # a stop on the way tells the second run from the end of the first
    person.press("r")
    person.wait(halfway)
    person.press(" ")
    assert words(person.wait(written)) == first


def test_a_killed_engine_is_a_banner_and_R_starts_another(terminal):
    person = terminal(*SMALL, "--steps", LONG)
    person.wait(lambda s: at(s)[0] > 20)
    (engine,) = person.children()
    os.kill(engine, signal.SIGKILL)
    recorded = at(person.wait(lambda s: "killed by signal 9" in s and "no engine" in s))[0]
    person.press("h")
    paused_at = at(person.wait(lambda s: at(s)[0] == recorded - 1))[0]
    person.press("R")
    person.wait(lambda s: "killed" not in s and "again" not in s)
    assert at(person.screen())[0] == paused_at
    person.press(" ")
    person.wait(lambda s: at(s)[0] > recorded)
    person.press("q")
    assert person.exit_code() == 0
    assert person.restored()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--length", "4096"], "length 4096 is beyond the model's 256"),
        (["--length", "2", "--prompt", "one two three four"], "raise the length"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence_and_exit_code_2(terminal, arguments, sentence):
    person = terminal("watch", *arguments)
    assert person.exit_code() == 2
    reported = [line for line in left_on_screen(person) if line.startswith("remdm-tui: ")]
    assert len(reported) == 1
    assert sentence in reported[0]
    assert person.restored()


def left_on_screen(person):
    """What a person reads in the shell afterwards."""
    text = person.raw.decode().split("\x1b[?1049l")[-1]
    return re.sub(r"\x1b\[[0-9;?<>=]*[a-zA-Z]", "", text).replace("\r", "").splitlines()


def test_a_slip_on_the_command_line_is_reported_before_the_screen_is_taken(terminal):
    person = terminal("watch", "--model", "no-such")
    assert person.exit_code() == 2
    assert b"\x1b[?1049h" not in person.raw
    assert "unknown model 'no-such': choose demo" in person.raw.decode()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "no-such"], "unknown model 'no-such': choose demo"),
        (["--model", "./no-such"], "there is no file or directory './no-such'"),
        (["--on", "-oProxyCommand=x"], "--on needs a host as for ssh"),
        (["--remote-command", "'"], "cannot parse --remote-command"),
        (["--remote-python", "python3"], "--remote-python needs --on HOST"),
    ],
)
def test_every_slip_is_reported_before_the_application_is_made(monkeypatch, arguments, sentence):
    monkeypatch.setattr(watch, "has_terminal", lambda: True)
    monkeypatch.setattr(remdm_tui.app, "run", lambda *_: pytest.fail("the application was made"))
    try:
        result = CliRunner().invoke(app, ["watch", *arguments])
    finally:
        gc.enable()  # as the application does once it is on screen
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_broken_checkpoint_is_reported_and_another_model_watched_at_once(terminal, tmp_path):
    (tmp_path / "config.json").write_text("{")
    person = terminal("watch", "--model", str(tmp_path), "--steps", "64", "--length", "48")
    person.wait(refused)
    person.press("demo\r")
    person.wait(written)
    person.press("q")
    assert person.exit_code() == 0


def test_leaving_a_broken_checkpoint_tells_the_reason_again(terminal, tmp_path):
    (tmp_path / "config.json").write_text("{")
    person = terminal("watch", "--model", str(tmp_path))
    person.wait(refused)
    person.press("\x1b")
    person.wait(lambda s: "m: pick a model" in s and "enter loads" not in s)
    person.press("q")
    assert person.exit_code() == 2
    assert person.restored()
    (reported,) = [line for line in left_on_screen(person) if line.startswith("remdm-tui: ")]
    assert "is not a configuration" in reported


def test_no_colour_still_distinguishes_the_states(terminal):
    person = terminal(*SMALL, NO_COLOR="1")
    person.wait(written)
    colours = set(re.findall(rb"\x1b\[[0-9;]*38;2;(\d+);(\d+);(\d+)", person.raw))
    assert all(len(set(colour)) == 1 for colour in colours), "greys only"


def test_ctrl_c_in_the_shell_leaves_no_engine_behind(terminal):
    person = terminal(*SMALL, "--steps", LONG)
    person.wait(lambda s: at(s)[0] > 5)
    (engine,) = person.children()
    person.process.kill()
    person.process.wait()
    eventually(lambda: gone(engine), lambda: "for the engine to end with its terminal")


def test_a_closed_window_ends_the_program_and_its_engine(terminal):
    person = terminal(*SMALL, "--steps", LONG)
    person.wait(lambda s: at(s)[0] > 5)
    (engine,) = person.children()
    person.hang_up()
    person.process.wait(PATIENCE)
    eventually(lambda: gone(engine), lambda: "for the engine to end with its terminal")


def test_reports_that_no_terminal_should_send_turn_no_knob_and_the_next_key_works(terminal):
    person = terminal(*SMALL, "--paused", "--fresh")
    shown = ("strategy", "eta", "when", "top_p", "temperature", "nucleus", "draw")
    before = person.wait(lambda s: at(s) == (0, 64) and masks(s) > 40 and all(knob in s for knob in shown))
    for report in REPORTS:
        person.press(report)
    person.press("l")
    after = person.wait(lambda s: at(s)[0] == 1)
    knobs = [
        [line[80:] for line in s.splitlines() if line[80:81] == "│" and re.search("[━‹]", line)]
        for s in (before, after)
    ]
    assert knobs[0] == knobs[1]
    person.press(b"\x1b]11;never ends")
    person.press("q")
    assert person.exit_code() == 0
    assert person.restored()
