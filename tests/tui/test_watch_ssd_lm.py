"""SSD-LM watched by a person: the canvas over the simplex in a real terminal, from a real engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.records import Change, Settings
from engine.sampling.trace import Trace
from remdm_tui.render.canvas import canvas
from remdm_tui.render.token_codes import FAINT, codes_of
from tests.engine.recordings import arbitrary_frames
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
    person.wait(lambda s: at(s)[0] == 1 and masks(s) == 10 and "abar" in s and "kept at <.5" in s.replace("0.", "."))
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


def test_a_kept_token_over_the_simplex_is_dimmed_by_its_probability() -> None:
    start, frames = arbitrary_frames(2, 1, 400, 3)
    trace = Trace(start)
    for frame, strategy in zip(frames, ("ssd-lm", "mdlm"), strict=True):
        trace.append(replace(frame, index=len(trace), settings=Settings(strategy)))
    over, plain = (codes_of(canvas(trace, position, 0), None, range(0), None) for position in (1, 2))
    assert np.array_equal(plain, trace.change(2, 0))
    for code, state, held in zip(over, trace.change(1, 0), trace.held(1, 0), strict=True):
        grade = int(held < 0.5) + int(held < 0.125)
        assert code == (FAINT - 1 + grade if state == Change.HELD and grade else state)
    assert {FAINT, FAINT + 1, Change.HELD, Change.REVEALED} <= set(over.tolist())
