"""Maps in a report: one for each series that has a recording beside its files."""

from __future__ import annotations

import re
from pathlib import Path

from remdm_tui.reports import html
from tests.cli.evaluations import sweep
from tests.cli.test_report_files import Page, made
from tests.engine.recordings import recorded


def test_a_page_has_a_map_of_each_series_with_a_recording(tmp_path: Path) -> None:
    sweep(tmp_path)
    homes = sorted(path.parent for path in tmp_path.rglob("results.json"))
    plain = html.render(made(tmp_path))
    assert "img-src" not in plain
    assert '<h3 id="s1-maps"' not in plain
    recorded(homes[0] / "b.remdm", "mdlm", steps=9, length=6)
    recorded(homes[0] / "a.remdm", "remdm-cap", steps=12, length=6)
    page = html.render(made(tmp_path))
    assert "img-src data:;" in page
    maps = [attributes for tag, attributes in Page(page).tags if tag == "image"]
    assert [(one["href"] or "")[:22] for one in maps] == ["data:image/png;base64,"]
    assert "a.remdm" in page
    assert "b.remdm" not in page
    assert not re.search(r'<[^>]* style="', page)


def test_a_damaged_recording_is_reported_and_the_report_is_whole(tmp_path: Path) -> None:
    sweep(tmp_path)
    home = next(tmp_path.rglob("results.json")).parent
    (home / "x.remdm").write_bytes(b"no recording")
    page = html.render(made(tmp_path))
    assert "x.remdm" in page
    assert "is no" in page or "not a recording" in page
