"""The debugger from end to end: the real command, the demo model, a terminal, a person's keys."""

import re
from itertools import takewhile

SMALL = ["watch", "--steps", "48", "--length", "32", "--seed", "3", "--eta", "0.4"]


def at(screen):
    """Position on the status line."""
    found = re.search(r"(\d+)/\d+", screen.splitlines()[0])
    return int(found[1]) if found else -1


def grid(screen):
    """The lines of tokens above the map, without those between them."""
    lines = takewhile(lambda line: "map: " not in line, screen.splitlines()[2:35])
    return [text for line in lines if (text := line[1:79].strip())]


def test_break_on_the_first_remask_inspect_step_back_branch_compare_record_quit_and_replay(terminal, tmp_path):
    file = tmp_path / "run.remdm"
    person = terminal(*SMALL, "--break", "remasked > 0")
    screen = person.wait(lambda s: "■ stopped at step" in s)
    stopped = int(re.search(r"stopped at step (\d+)", screen)[1])
    # the sentence comes first where the line is slow
    person.wait(lambda s: at(s) == stopped and "╳" in "".join(grid(s)))

    # the stop has selected what was remasked there; why
    person.wait(lambda s: re.search(rf"► +{stopped} +remasked", s))
    # the sentence may be wrapped
    person.wait(lambda s: re.search(r"remasked, was .* u = [\d.]+ < sigma", s, re.DOTALL))
    person.press("o")
    person.wait(lambda s: "nucleus:" in s and "mdlm" in s)
    person.press("\x1b")
    person.wait(lambda s: not re.search(r"position \d+ -", s))

    # back, and on with other dice: a branch
    person.press("h")
    person.wait(lambda s: at(s) == stopped - 1)
    person.press("s")
    person.wait(lambda s: "branch 1" in s.splitlines()[0] and "└─1" in s)
    person.press("l")
    person.wait(lambda s: at(s) == stopped)

    # a token by hand, in the pause, where the stop has selected one
    person.wait(lambda s: re.search(r"position \d+ -", s))
    person.press("F")
    person.wait(lambda s: "in quotes to keep spaces" in s or "or the model's" in s)
    person.press("the\r")
    person.wait(lambda s: at(s) == stopped and "+ edit" in s and "put by hand" in s)
    person.press("\x1b")
    person.wait(lambda s: not re.search(r"position \d+ -", s))

    # both side by side, on one clock
    person.press("c")
    person.wait(lambda s: " A remdm-cap" in s and "►B " in s)
    person.press("\t")
    person.wait(lambda s: "►A remdm-cap" in s and "pane A" in s.splitlines()[0])
    person.press("l")
    together = at(person.wait(lambda s: "paused" in s.splitlines()[0] and at(s) > stopped))
    person.press("\t")
    person.wait(lambda s: "►B " in s and "pane B" in s.splitlines()[0])
    person.press("c")
    # the same place of the record: its edit is no step
    person.wait(lambda s: "►B " not in s and "branch 1" in s.splitlines()[0] and at(s) + 1 >= together)

    # both are kept
    person.press("w")
    person.wait(lambda s: "keep the recording" in s)
    person.press(f"{file}\r")
    person.wait(lambda s: "Recording to" in s)
    person.press("x")
    person.wait(lambda s: "breakpoints -" in s)
    person.press("\x1b[B\r")
    person.wait(lambda s: "off" in s)
    person.press("\x1b")
    person.wait(lambda s: "breakpoints -" not in s)
    person.press(" ")
    person.wait(lambda s: "done" in s.splitlines()[0])
    last = at(person.screen())
    text = grid(person.wait(lambda s: "░░" not in "".join(grid(s)) and at(s) == last))
    person.press("q")
    assert person.exit_code() == 0

    # and there again, to the letter
    replay = terminal("replay", str(file), "--branch", "1")
    replay.wait(lambda s: at(s) == 0 and "branch 1" in s.splitlines()[0])
    replay.press("G")
    replay.wait(lambda s: at(s) == last and grid(s) == text)
    replay.press("z")
    replay.wait(lambda s: "branch 0" in s.splitlines()[0] and at(s) >= stopped)
    replay.press("c")
    replay.wait(lambda s: "►A remdm-cap" in s and " B " in s)
    replay.press("c")
    replay.wait(lambda s: "►A" not in s)
    replay.press("E")
    replay.wait(lambda s: "Replay only" in s)
    assert not replay.children()
    replay.press("q")
    assert replay.exit_code() == 0


def test_a_strategy_of_ones_own_fails_is_mended_and_goes_on(terminal, tmp_path):
    path = tmp_path / "mine.py"
    made = terminal("new-strategy", str(path))
    assert made.exit_code() == 0
    good = path.read_text()
    person = terminal("watch", "--strategy-file", str(path), "--steps", "48", "--length", "32", "--break", "step 3")
    person.wait(lambda s: "stopped at step 3" in s and " mine " in s.splitlines()[0])
    path.write_text(good.replace("return posterior(view, sigma)", "return sigma.nothing"))
    person.wait(lambda s: "Reloaded mine.py" in s)
    person.press(" ")
    person.wait(lambda s: "failed at step 3" in s and "return sigma.nothing" in s)
    path.write_text(good.replace("return posterior(view, sigma)", "return posterior(view, 4 * sigma + 1)"))
    person.wait(lambda s: "Reloaded mine.py" in s and "Traceback" not in s)
    person.press(" ")
    person.wait(lambda s: "✗ range at step" in s and "0 <= unmask <= 1" in s)
    person.press("q")
    assert person.exit_code() == 0
