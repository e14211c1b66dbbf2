"""What a recording is written as: the same steps in every format, and text of the model's that can do nothing."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import sys
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyte
import pytest

from engine.recording import Recorder, Recording
from engine.records import UNCHANGED, Change
from engine.sampling.trace import Trace
from remdm_tui.commands.export import run
from remdm_tui.console.sanitize import JOINERS, is_visible
from remdm_tui.exports import EXPORT_KINDS, ExportRequest
from remdm_tui.exports.scene import Scene
from tests.engine.recordings import header, recorded, session_of, start_of

HOSTILE = (
    "</script><script>alert(1)</script>",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe\u202c",
    "<b>&amp;",
    "a\nb",
    "[M]",
)
PLAIN = ("red", " sea", " was", " calm", ".\n", "_")


def hostile(path: Path, pieces: tuple[str, ...] = HOSTILE) -> Trace:
    """A run of which every token's text is an attack."""
    session = session_of("remdm-cap", steps=30, length=20, batch=2, prompt=(0, 1))
    start = start_of(session, 2)
    made = header(start, pieces=pieces)
    made = replace(made, model=replace(made.model, name=f"model{pieces[0]}\x1b[31m"))
    trace, recorder = Trace(start), Recorder.create(path, made, start)
    for frame in session:
        trace.append(frame)
        recorder.frame(0, frame)
    recorder.close()
    return trace


def exported(tmp_path: Path, kind: str, **more: Any) -> Path:
    out = tmp_path / f"out.{kind}"
    assert str(out) in run(tmp_path / "run", out, **more)
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []
    return out


def control(text: str) -> set[str]:
    """The characters that a terminal or a reader's eye would be led by."""
    return {c for c in text if (unicodedata.category(c) in ("Cc", "Cs") and c != "\n") or c in "\u202e\u202c\u2066"}


# -- text and tables


def test_the_text_of_a_step_is_its_tokens_with_an_underscore_for_a_mask(tmp_path: Path) -> None:
    trace = hostile(tmp_path / "run", PLAIN)
    for step in (0, 7, 30):
        text = exported(tmp_path, "txt", step=step, sample=1, force=True).read_text()
        assert text == "".join(PLAIN[token] for token in trace.tokens(step, 1)) + "\n"


HIDING = (
    "\x1b]0;t\x07\x1b[2J", "\x9d0;t\x9c\x9b2J",
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "\u200b\u200c\u200d\u2060\ufeff\u00ad", "\u034f\ufe0f\U000e0041\U000e0100\u2028\u2029", "\0\b\r\x7f\x85",
)  # fmt: skip
"""Controls, sequences of them, bidi and zero-width characters, one kind a token."""


def shown(path: Path) -> str:
    """Return what a reader's terminal or browser gets to see, without an asciicast's own escapes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        run = json.loads(re.findall(r'id="run">(.*?)</script>', text, re.DOTALL)[0])
        return text + "".join([*run["texts"], *(branch["name"] for branch in run["branches"])])
    if path.suffix == ".cast":
        head, *events = map(json.loads, text.splitlines())
        return head["title"] + re.sub(r"\x1b\[[?0-9;]*[mHKJhl]", "", "".join(data for _, _, data in events))
    return text


@pytest.mark.parametrize("kind", ["txt", "svg", "html", "cast"])
def test_no_character_of_a_token_acts_or_hides(tmp_path: Path, kind: str) -> None:
    hostile(tmp_path / "run", HIDING)
    found = shown(exported(tmp_path, kind))
    kept = JOINERS if kind == "txt" else {"\xa0"}
    assert {c for c in found if c != "\n" and not is_visible(c)} == kept & {*found}
    assert "␛" in found


def test_text_holds_nothing_that_a_terminal_acts_on(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    text = exported(tmp_path, "txt").read_text()
    assert control(text) == set()
    assert "gnp.exe" in text
    assert "\u241b[2J" in text


def test_tables_hold_the_figures_of_every_step(tmp_path: Path) -> None:
    trace = hostile(tmp_path / "run")
    with exported(tmp_path, "csv", sample=1).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 31))
    for position, row in enumerate(rows, 1):
        now, frame = trace.figures(position, 1), trace.frame(position)
        assert now is not None
        assert frame is not None
        assert (int(row["masked"]), int(row["revealed"]), int(row["remasked"])) == (
            now.masked,
            now.revealed,
            now.remasked,
        )
        assert (float(row["t"]), float(row["alpha_s"]), int(row["network_calls"])) == (
            frame.t, frame.alpha_s, frame.network_calls,
        )  # fmt: skip
        assert float(row["entropy"]) == pytest.approx(now.entropy, abs=1e-12)
        assert (row["strategy"], row["knobs"].split()[0]) == ("remdm-cap", f"eta={frame.settings.knobs['eta']}")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", 'a,"b"', "a'b;c"])
def test_a_name_in_a_table_is_one_cell_and_no_formula(tmp_path: Path, name: str) -> None:
    session = session_of("remdm-cap", steps=3)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    for frame in session:
        settings = replace(frame.settings, strategy=name, knobs={name: name})
        recorder.frame(0, replace(frame, settings=settings))
    recorder.close()
    with exported(tmp_path, "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    mark = "'" * (name[0] in "=+-@")
    assert {(row["strategy"], row["knobs"]) for row in rows} == {(mark + name, f"{mark}{name}={name}")}
    assert [float(row["s"]) for row in rows] == [frame.s for frame in session.frames]


def test_parquet_holds_what_csv_does(tmp_path: Path) -> None:
    from pyarrow import parquet

    hostile(tmp_path / "run")
    table = parquet.read_table(exported(tmp_path, "parquet")).to_pydict()
    with exported(tmp_path, "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(table) == list(rows[0])
    assert [str(value) for value in table["entropy"]] == [row["entropy"] for row in rows]


@pytest.mark.parametrize(
    ("kind", "package", "sentence"),
    [("parquet", "pyarrow", "Parquet needs the package pyarrow"), ("png", "PIL", "need the package Pillow")],
)
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str, sentence: str
) -> None:
    hostile(tmp_path / "run")
    for name in [name for name in sys.modules if name.split(".")[0] == package or name == "remdm_tui.exports.raster"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=sentence):
        exported(tmp_path, kind)


# -- pictures of the screen


def test_an_asciicast_draws_every_step_as_the_live_view_sets_it(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    lines = exported(tmp_path, "cast", columns=60).read_text().splitlines()
    head, *events = map(json.loads, lines)
    assert (head["version"], head["width"]) == (2, 60)
    scene = Scene.of(ExportRequest(Recording.open(tmp_path / "run"), tmp_path, columns=60))
    screen = pyte.Screen(60, head["height"])
    stream = pyte.Stream(screen)
    assert len(events) == 31 + 1
    times = [event[0] for event in events]
    assert times == sorted(times)
    for position, (_, kind, data) in enumerate(events[:-1]):
        assert kind == "o"
        stream.feed(data)
        page = ["".join(text for text, _ in line) for line in scene.page(position)]
        assert [line.rstrip() for line in screen.display[: len(page)]] == [line.rstrip() for line in page]
    # colours and attributes, and nothing else but moving about
    kinds = set(re.findall(r"\x1b\[[?0-9;]*([A-Za-z])", "".join(event[2] for event in events)))
    assert kinds == {"m", "H", "K", "J", "h", "l"}
    assert control(re.sub(r"\x1b\[[?0-9;]*[mHKJhl]", "", "".join(event[2] for event in events))) == set()
    assert "38;2;0;0;0;48;2;224;102;43" in "".join(event[2] for event in events)


def test_an_asciicast_says_states_by_glyph_too(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run", steps=20)
    scene = Scene.of(ExportRequest(Recording.open(tmp_path / "run"), tmp_path, ascii=True))
    for position in range(21):
        text = "".join(text for line in scene.text(position) for text, _ in line)
        assert ("x" in text) == (Change.REMASKED in trace.change(position, 0))
        assert text.isascii()


def test_a_picture_that_scales_is_sound_and_fetches_nothing(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    text = exported(tmp_path, "svg", step=12).read_text()
    root = ET.fromstring(text)
    assert {one.tag.rpartition("}")[2] for one in root.iter()} <= {
        "svg", "style", "defs", "clipPath", "rect", "g", "text", "circle",
    }  # fmt: skip
    assert "url(http" not in text
    assert "alert(1)" in "".join(root.itertext()).replace("\xa0", " ")
    assert control(text) == set()


def test_a_png_is_the_gifs_last_picture(tmp_path: Path) -> None:
    from PIL import Image

    hostile(tmp_path / "run")
    moving = Image.open(exported(tmp_path, "gif", columns=50))
    # neighbours that are alike are one picture, shown longer
    assert 15 < moving.n_frames <= 31  # type: ignore[attr-defined]
    moving.seek(moving.n_frames - 1)  # type: ignore[attr-defined]
    still = Image.open(exported(tmp_path, "png", columns=50))
    last, png = np.asarray(moving.convert("RGB")), np.asarray(still.convert("RGB"))
    assert np.array_equal(last[: len(png)], png[: len(last)])
    assert len(np.unique(png.reshape(-1, 3), axis=0)) > 10


def test_a_long_run_is_thinned_to_so_many_pictures_and_keeps_its_ends(tmp_path: Path) -> None:
    recorded(tmp_path / "run", steps=40)
    request = ExportRequest(Recording.open(tmp_path / "run"), tmp_path)
    assert request.positions(most=40) == list(range(41))
    assert request.positions(most=13) == [*range(0, 40, 4), 40]
    assert replace(request, every=15).positions() == [0, 15, 30, 40]


# -- the page


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_tells_every_step(tmp_path: Path) -> None:
    trace = hostile(tmp_path / "run")
    data = data_of(exported(tmp_path, "html", sample=1).read_text())
    pieces = Scene.of(ExportRequest(Recording.open(tmp_path / "run"), tmp_path)).type_.pieces
    (branch,) = data["branches"]
    states, words = (np.array(part) for part in branch["start"])
    for position in range(31):
        if position:
            states, at = UNCHANGED[states], 0
            numbers = iter(branch["steps"][position - 1])
            for code in numbers:
                at += code // (2 * len(Change))
                states[at] = code % (2 * len(Change)) // 2
                if code % 2:
                    words[at] = next(numbers)
        assert np.array_equal(states, trace.change(position, 1))
        shown = [data["texts"][word].rstrip("\n") for word in words]
        seen = ~np.isin(states, (Change.MASKED, Change.REMASKED))
        tokens = trace.tokens(position, 1)
        assert [text for text, there in zip(shown, seen, strict=True) if there] == [
            pieces.texts[t] for t in tokens[seen]
        ]
        widths = [data["widths"][word] for word in words[states == Change.REMASKED]]
        assert widths == pieces.widths[trace.tokens(position - 1, 1)[states == Change.REMASKED]].tolist()
    assert data["next"] == UNCHANGED.tolist()
    assert (data["position"], branch["last"], data["total"]) == (30, 30, 30)
    masked = [trace.figures(position, 1).masked for position in range(1, 31)]  # type: ignore[union-attr]
    assert branch["figures"]["masked"] == masked


def test_the_page_runs_its_own_code_and_nothing_else(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    page = exported(tmp_path, "html").read_text()
    assert control(page) == set()
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="run"', ""]
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    message = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    for kind, text in (("script-src", scripts[1][1]), ("style-src", styles[0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert message[kind] == f"'sha256-{digest}'"
    assert {message[kind] for kind in ("default-src", "base-uri", "form-action")} == {"'none'"}
    assert "alert" not in scripts[1][1]
    assert not re.search(r"\s(src|href|style|on\w+)\s*=", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    assert "://" not in page
    assert all(word not in scripts[1][1] for word in ("innerHTML", "eval", "document.write", "Function("))


# -- what cannot be exported


@pytest.mark.parametrize(
    ("out", "more", "sentence"),
    [
        ("out.mp3", {}, "unknown kind of export 'mp3': choose one of txt, svg"),
        ("out", {}, "unknown kind of export ''"),
        ("run", {"kind": "txt"}, "exists: choose another name"),
        ("out.txt", {"step": 31}, "has steps 0 to 30, not 31"),
        ("out.txt", {"sample": 2}, "has samples 0 to 1, not 2"),
        ("out.txt", {"branch": 1}, "has branches 0 to 0, not 1"),
        ("out.svg", {"columns": 9}, "columns must lie in 40 to 400, not 9"),
        ("out.gif", {"every": 0}, "every must be at least 1, not 0"),
        ("out.gif", {"rate": 0.0}, "rate must lie above 0"),
    ],
)
def test_what_cannot_be_exported_is_reported_and_leaves_nothing(
    tmp_path: Path, out: str, more: dict[str, Any], sentence: str
) -> None:
    recorded(tmp_path / "run", steps=30)
    with pytest.raises(ValueError, match=sentence):
        run(tmp_path / "run", tmp_path / out, **more)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_an_empty_recording_and_a_torn_one_can_be_exported(tmp_path: Path, kind: str) -> None:
    session = session_of("mdlm")
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    assert ": 0 steps" in (message := run(tmp_path / "run", tmp_path / f"a.{kind}")) or "step 0 of 0" in message
    for frame in session:
        recorder.frame(0, frame)
    recorder.close()
    with (tmp_path / "run").open("r+b") as file:
        file.truncate((tmp_path / "run").stat().st_size - 3)
    assert "breaks off: its last" in run(tmp_path / "run", tmp_path / f"b.{kind}")


@pytest.mark.parametrize("kind", ["txt", "html", "svg", "cast"])
def test_a_character_of_several_tokens_is_whole_in_every_export(tmp_path: Path, kind: str) -> None:
    data = "中".encode()
    session = session_of("mdlm", steps=4, length=6, prompt=(0, 1))
    start = start_of(session, 2)
    made = header(start, pieces=("\ufffd", "\ufffd", "c", "d", "e", "_"))
    made = replace(made, model=replace(made.model, fragments={0: data[:1], 1: data[1:]}))
    recorder = Recorder.create(tmp_path / "run", made, start)
    for frame in session:
        recorder.frame(0, frame)
    recorder.close()
    text = exported(tmp_path, kind).read_text(encoding="utf-8")
    assert "中" in text or r"\u4e2d" in text
