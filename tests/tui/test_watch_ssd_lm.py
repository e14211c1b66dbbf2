"""SSD-LM watched by a person: the canvas over the simplex in a real terminal, from a real engine."""

from __future__ import annotations

from pathlib import Path

from tests.engine.simplex import write_ssd_lm
from tests.tui.test_end_to_end import COMMAND, at, masks


def test_a_person_steps_breaks_branches_records_and_replays(terminal, tmp_path: Path) -> None:
    home, kept = tmp_path / "model", tmp_path / "run.remdm"
    write_ssd_lm(home)
    shape = ["--model", str(home), "--length", "20", "--block-length", "10", "--steps", "16", "--top-p", ".9"]
    person = terminal("watch", *shape, "--paused", "--record", str(kept), command=COMMAND)
    screen = person.wait(lambda s: at(s) == (0, 16) and masks(s) == 20)
    assert "ssd-lm" in screen.splitlines()[0]

    person.press("l")
    person.wait(lambda s: at(s)[0] == 1 and masks(s) == 10 and "abar" in s)
    person.press(":break edited > 0\r")
    person.wait(lambda s: "Stops at: edited > 0" in s)
    person.press(" ")
    stopped = person.wait(lambda s: "stopped at step" in s)
    assert at(stopped)[0] < 16
    person.press("h")
    person.wait(lambda s: at(s)[0] == at(stopped)[0] - 1)
    person.press(":projection sampling\r")
    person.wait(lambda s: "projection=sampling" in s.splitlines()[0])
    person.press("l")
    person.wait(lambda s: at(s)[0] == at(stopped)[0] and "next: " not in s and "1 projection=sampling" in s)
    person.press("q")
    assert person.exit_code() == 0

    reader = terminal("replay", str(kept), command=COMMAND)
    reader.wait(lambda s: "SSD-LM" in s and "1 projection=sampling" in s)
    reader.press("q")
    assert reader.exit_code() == 0
