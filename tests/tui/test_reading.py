"""The line above everything."""

import re

import numpy as np
import pytest
from rich.cells import cell_len

from engine.records import Frame, Settings
from engine.sampling.trace import RunStart, Trace
from remdm_tui.render.shorten import shorten, shorten_message
from remdm_tui.ui.panel_data import counted, progress, status

RIGHT = "► playing 12/256 speed max"


@pytest.mark.parametrize("name", ["demo", "runs/" + "deep/" * 30 + "model", "模型" * 40])
@pytest.mark.parametrize("width", [58, 78, 118])
def test_it_fills_the_width_and_ends_with_where_the_view_stands(name, width):
    line = status(name, ["remdm-cap eta 0.02", "p 0.9", "seed 0"], RIGHT, width, False)
    assert cell_len(line) == width
    assert line.endswith(f" {RIGHT}")


def test_of_a_long_name_the_end_stays():
    line = status("runs/" + "deep/" * 30 + "mine/model", ["mdlm", "seed 0"], RIGHT, 78, False)
    assert "/mine/model │ mdlm │ seed 0 " in line
    assert line.startswith("…")


def test_ascii_has_no_other_characters():
    line = status("runs/" + "deep/" * 30 + "model", ["mdlm", "seed 0"], "> playing 1/2", 60, True)
    assert line.isascii()
    assert line.startswith("...")


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize(
    "text", ["remdm-cap eta=0.017 top_p=0.66", "eta 0.017 (next: eta 0.0175)", "a 12/256 b 3.25", "模 1.25 型 0.5"]
)
def test_no_width_cuts_a_number(text, ascii_only):
    numbers = re.findall(r"[0-9][0-9./]*", text)
    for width in range(40):
        short = shorten(text, width, ascii_only)
        assert cell_len(short) <= width
        assert not ascii_only or short.replace("模", "").replace("型", "").isascii()
        left = re.findall(r"[0-9][0-9./]*", short.rstrip(".…"))
        assert left == numbers[: len(left)]


def test_a_message_keeps_the_keys_at_its_end():
    short = shorten_message("The engine was killed by signal 9. The record stays (R: restart the engine)", 60)
    assert short == "The engine was killed by signal 9.… (R: restart the engine)"


def test_a_long_path_gives_way_to_the_reason():
    short = shorten_message("Cannot write /a/very/long/path/to/some/directory/run.svg: No such file", 50)
    assert short == "Cannot write …some/directory/run.svg: No such file"


def test_the_header_leaves_out_whole_parts():
    line = status("demo", ["remdm-cap eta 0.017", "p 0.9", "seed 12345"], "> 1/2", 40, False)
    assert line == "remdm-cap eta 0.017 │ p 0.9 │ …    > 1/2"


@pytest.mark.parametrize(("steps", "position", "expected"), [(12, 5, (5, 12, "")), (12, 13, (12, 12, " + clean-up"))])
def test_a_clean_up_is_no_step(steps, position, expected):
    assert progress(trace_with_a_clean_up(steps), position) == expected


@pytest.mark.parametrize(("number", "words"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls")])
def test_a_word_follows_its_number(number, words):
    assert counted(number, "call") == words


def trace_with_a_clean_up(steps):
    tokens = np.zeros((1, 4), np.int32)
    trace = Trace(RunStart(tokens, tokens > 0, steps, 0))
    none = np.zeros(tokens.shape, np.float32)
    for index in range(steps + 1):
        change = np.zeros(tokens.shape, np.uint8)
        trace.append(Frame(index, 1, 0, 0, 1, tokens, change, none, none, none, 0, Settings("a"), final=index == steps))
    return trace
