"""The line of an evaluation's strategy."""

from __future__ import annotations

from remdm_tui.commands.eval_results import strategy_line


def test_a_knob_that_an_earlier_version_did_not_have_is_shown_at_its_default() -> None:
    earlier = {"strategy": "low-confidence", "knobs": {}, "predictor": "lazy"}
    assert strategy_line(earlier) == "low-confidence shares=llada k=0 confidence=plain alg_temp=0.0"
