"""The line above everything."""

import pytest
from rich.cells import cell_len

from remdm_tui.ui.panel_data import status

RIGHT = "► playing 12/256 speed max"


@pytest.mark.parametrize("name", ["demo", "runs/" + "deep/" * 30 + "model", "模型" * 40])
@pytest.mark.parametrize("width", [58, 78, 118])
def test_it_fills_the_width_and_ends_with_where_the_view_stands(name, width):
    line = status(name, "remdm-cap eta 0.02 │ p 0.9 │ seed 0", RIGHT, width, False)
    assert cell_len(line) == width
    assert line.endswith(f" {RIGHT}")


def test_of_a_long_name_the_end_stays():
    line = status("runs/" + "deep/" * 30 + "mine/model", "mdlm │ seed 0", RIGHT, 78, False)
    assert "/mine/model │ mdlm │ seed 0 " in line
    assert line.startswith("…")


def test_ascii_has_no_other_characters():
    line = status("runs/" + "deep/" * 30 + "model", "mdlm │ seed 0", "> playing 1/2", 60, True)
    assert line.isascii()
    assert line.startswith("...")
