"""The map in exports: PNG and SVG of the whole run, and the page that says why a token is there."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.debug.inspect import story
from engine.recording import Recorder, Recording
from engine.records import Change
from remdm_tui.commands.export import run
from remdm_tui.exports import ExportRequest
from remdm_tui.exports.scene import Scene
from remdm_tui.exports.writing import kind_of
from remdm_tui.render import plate_paint as paint
from tests.cli.test_export import HOSTILE, hostile
from tests.engine.recordings import header, recorded, session_of, start_of

LENGTH, STEPS = 12, 30


@pytest.fixture
def home(tmp_path: Path) -> Path:
    recorded(tmp_path / "run", "remdm-cap", prompt=(1, 2), steps=STEPS, length=LENGTH)
    return tmp_path


@pytest.mark.parametrize("light", [False, True])
def test_a_png_has_the_colour_of_each_position_at_each_step(home: Path, light: bool) -> None:
    out = home / "run.map.png"
    assert f"{STEPS} steps" in run(home / "run", out, light=light, sample=1)
    image = Image.open(out)
    assert "12 positions x 30 steps" in image.info["Title"]
    pixels = np.asarray(image.convert("RGB"))
    down, across = pixels.shape[0] // LENGTH, pixels.shape[1] // (STEPS + 1)
    assert pixels.shape[:2] == (down * LENGTH, across * (STEPS + 1))
    table = paint.colour_table(not light, (0, 0, 0))
    of = {
        Change.MASKED: paint.GROUND, Change.HELD: paint.PROMPT - 1, Change.LOCKED: paint.PROMPT,
        Change.REVEALED: paint.REVEALED, Change.REMASKED: paint.REMASKED,
    }  # fmt: skip
    trace = Recording.open(home / "run").trace()
    for step in range(STEPS + 1):
        for position, change in enumerate(trace.change(step, 1)):
            colour = pixels[position * down + down // 2, step * across + across // 2]
            assert tuple(colour) == table[of[Change(change)]], (position, step)


def test_an_svg_is_the_same_picture_with_axes_and_a_legend_and_loads_nothing(home: Path) -> None:
    run(home / "run", home / "run.map.png")
    run(home / "run", home / "run.map.svg")
    text = (home / "run.map.svg").read_text()
    root = ET.fromstring(text)
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"0", "11", "step 0", "30", "masked", "remasked"} <= set(words)
    sources = re.findall(r'href="([^"]*)"', text)
    assert len(sources) == 1
    data = base64.b64decode(sources[0].removeprefix("data:image/png;base64,"))
    inside, alone = (np.asarray(Image.open(one).convert("RGB")) for one in (io.BytesIO(data), home / "run.map.png"))
    assert np.array_equal(inside, alone)


def test_a_models_name_can_do_nothing_in_a_map(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    run(tmp_path / "run", tmp_path / "run.map.svg")
    text = (tmp_path / "run.map.svg").read_text()
    ET.fromstring(text)
    assert not any(piece in text for piece in HOSTILE[:3])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run.map.png", "map.png"),
        ("a.b.MAP.svg", "map.svg"),
        ("run.png", "png"),
        ("a.map.txt", "txt"),
        ("map.svg", "svg"),
    ],
)
def test_the_kind_is_the_longest_ending_that_is_one(name: str, kind: str) -> None:
    assert kind_of(Path(name)).name == kind


def test_the_page_gives_the_reason_that_the_inspector_gives(home: Path) -> None:
    run(home / "run", home / "run.html", sample=1)
    page = (home / "run.html").read_text()
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    (branch,) = json.loads(found[1])["branches"]
    trace = Recording.open(home / "run").trace()
    assert len(branch["whys"]) == STEPS
    seen = 0
    for position in range(LENGTH):
        frames = (trace.frame(step) for step in range(1, STEPS + 1))
        for moment in story(frames, 1, position, seed=trace.start.seed).moments:  # type: ignore[arg-type]
            change = trace.change(moment.step, 1).tolist()
            draws, *chances = branch["whys"][moment.step - 1]
            kind = change[position]
            chance = chances[kind == Change.REMASKED]
            if isinstance(chance, list):
                chance = chance[change[:position].count(kind)]
            if np.isnan(moment.chance):
                assert (chance, draws) == (-1, [])
            else:
                assert chance == pytest.approx(moment.chance, rel=0.01)
                events = [i for i, c in enumerate(change) if c in (Change.REVEALED, Change.REMASKED)]
                assert draws[events.index(position)] == pytest.approx(moment.drawn, rel=0.01)
            seen += 1
    assert seen > LENGTH // 2


def test_the_heading_of_a_step_has_its_own_settings_and_the_maps_says_that_they_change(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=STEPS, length=LENGTH)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    for frame in session:
        recorder.frame(0, frame)
        if frame.index == 9:
            session.set(top_p=0.25)
    recorder.close()
    recording = Recording.open(tmp_path / "run")
    scene = Scene.of(ExportRequest(recording, tmp_path / "out"))
    assert ["p 0.25" in scene.heading(position) for position in (0, 10, 11, STEPS)] == [False, False, True, True]
    run(tmp_path / "run", tmp_path / "run.map.svg")
    assert "settings change once" in (tmp_path / "run.map.svg").read_text()
