"""`scripts/zoo_page.py`: its tables, and that it leaves alone what people have written."""

from __future__ import annotations

from pathlib import Path

import pytest

from remdm_tui.reports.collect import collect
from scripts.zoo_page import BEGIN, END, SKELETON, body, renewed
from tests.cli.evaluations import sweep


def test_the_page_has_qualities_and_costs_by_steps(tmp_path: Path) -> None:
    (group,) = collect([sweep(tmp_path)]).groups
    text = body(group)
    for title in ("gen PPL", "entropy", "Network calls a text", "Tokens a network call", "Seconds a text"):
        assert f"### {title}\n\n| series | T=128 | T=256 | T=512 |\n" in text
    # 1,024 tokens in .9 T calls
    assert "| remdm-cap | 8.89 | 4.44 | 2.22 |" in text


def test_what_people_have_written_stays() -> None:
    page = SKELETON.replace("Five sentences.", "One learns much.")
    first = renewed(page, "old figures\n")
    assert renewed(first, r"new \1 figures" + "\n") == page.replace(f"{BEGIN}\n", f"{BEGIN}\nnew \\1 figures\n")
    with pytest.raises(ValueError, match="the page lacks the lines"):
        renewed(page.replace(END, ""), "figures")
