"""The exported page: its branches as data, and what a person does on it, in a headless Chromium where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.recording import RecordedTrace, Recorder, Recording
from engine.records import Change, Edit, Frame
from remdm_tui.commands.export import run
from remdm_tui.exports import page_data
from tests.engine.recordings import busy_frames, header, session_of, start_of

STEPS, LENGTH, FORK = 24, 12, 9
MOST_BYTES = 1_000_000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def with_branch(path: Path, edited: bool = False) -> Recording:
    """Record a run, and a second branch that ends earlier and has another knob from step 14 on."""
    session = session_of("remdm-cap", STEPS, LENGTH, 1, prompt=(0,), seed=1)
    start = start_of(session, 1)
    recorder = Recorder.create(path, header(start), start)
    frames = list(session)
    for frame in frames:
        recorder.frame(0, frame)
    number = recorder.branch(0, FORK)
    for frame in frames[FORK : STEPS - 4]:
        changed = frame.settings if frame.index < 14 else replace(frame.settings, knobs={"eta": 0.0175})
        edit = Edit("force", 0, 3, (1,)) if edited and frame.index == 14 else None
        recorder.frame(number, replace(frame, settings=changed, edit=edit))
    recorder.close()
    return Recording.open(path)


def exported(tmp_path: Path, **more: Any) -> str:
    run(tmp_path / "run", tmp_path / "out.html", force=True, **more)
    return (tmp_path / "out.html").read_text()


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


# -- its data


def test_a_branch_holds_only_what_it_does_not_share(tmp_path: Path) -> None:
    recording = with_branch(tmp_path / "run")
    first, second = data_of(exported(tmp_path))["branches"]
    assert (first["of"], first["from"], len(first["steps"])) == (None, 0, STEPS)
    assert (second["of"], second["from"], second["last"]) == (0, FORK, STEPS - 4)
    assert len(second["steps"]) == len(second["whys"]) == len(second["t"]) == STEPS - 4 - FORK
    assert second["name"] == f"branch 1, from 0 at step {FORK}: remdm-cap"
    # the requested one comes first, whole
    other, parent = data_of(exported(tmp_path, branch=1))["branches"]
    assert (other["of"], len(other["steps"]), parent["of"], parent["from"]) == (None, STEPS - 4, 0, FORK)
    assert other["figures"]["masked"] == recording.trace(1).curves.column("masked", 0).tolist()


def test_thinned_branches_share_whole_strides(tmp_path: Path) -> None:
    with_branch(tmp_path / "run")
    first, second = data_of(exported(tmp_path, every=4))["branches"]
    assert (len(first["steps"]), second["from"], len(second["steps"])) == (6, FORK // 4, 5 - FORK // 4)


def test_settings_are_where_they_change(tmp_path: Path) -> None:
    with_branch(tmp_path / "run")
    _, branch = data_of(exported(tmp_path))["branches"]
    (first, before), (second, after) = branch["settings"]
    assert (first, second) == (0, 14)
    assert before.startswith("remdm-cap · eta ")
    assert "eta 0.0175" in after


def test_branches_that_make_it_too_large_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_branch(tmp_path / "run")
    monkeypatch.setattr(page_data, "LARGEST", 0)
    message = run(tmp_path / "run", tmp_path / "out.html")
    assert "branch 1 left out, too large" in message
    data = data_of((tmp_path / "out.html").read_text())
    assert (len(data["branches"]), data["left_out"]) == (1, [1])


def test_a_damaged_branch_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_branch(tmp_path / "run")
    change = RecordedTrace.change

    def damaged(self: RecordedTrace, position: int, sample: int) -> NDArray[np.uint8]:
        if self.branch == 1 and position == STEPS - 6:
            raise ValueError("damaged")
        return change(self, position, sample)

    monkeypatch.setattr(RecordedTrace, "change", damaged)
    assert [branch["name"] for branch in data_of(exported(tmp_path))["branches"]] == ["branch 0: remdm-cap"]
    with pytest.raises(ValueError, match="damaged"):
        exported(tmp_path, branch=1)


def test_a_long_busy_run_takes_less_than_a_megabyte(tmp_path: Path) -> None:
    # a quarter of 1,024 steps, and a quarter of the bytes
    start, frames = busy_frames(256, 1024, changes=20)
    words = [f" {number:05}"[: 2 + number % 5] for number in range(49_999)]
    recorder = Recorder.create(tmp_path / "run", header(start, 50_000, 49_999, (*words, "_")), start)
    for frame in frames:
        recorder.frame(0, frame)
    recorder.close()
    assert len(exported(tmp_path)) < MOST_BYTES / 4 + 40_000


def test_chances_that_differ_are_listed_one_by_one(tmp_path: Path) -> None:
    session = session_of("mdlm", STEPS, LENGTH, 1)
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    frames: list[Frame] = []
    for frame in session:
        plan = frame.unmask * (1 - frame.tokens[0] % 2 / 2)
        frames.append(replace(frame, unmask=plan.astype(frame.unmask.dtype)))
        recorder.frame(0, frames[-1])
    recorder.close()
    (branch,) = data_of(exported(tmp_path))["branches"]
    listed = []
    for frame, why in zip(frames, branch["whys"], strict=True):
        found = frame.unmask[0][frame.change[0] == Change.REVEALED]
        if len(found):
            listed.append(isinstance(why[1], list))
            assert why[1] == pytest.approx(found.tolist() if listed[-1] else found[0], rel=1e-2)
    assert {*listed} == {True, False}


# -- in a browser

DRIVER = """
const found = {}, part = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const at = (target, kind, x, y) => {
  const box = target.getBoundingClientRect();
  target.dispatchEvent(new PointerEvent(kind, { bubbles: true, buttons: kind === "pointerdown" ? 1 : 0,
    clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
};
const look = () => ({ label: part(".label").textContent, settings: part(".settings").textContent,
  why: part("#why").textContent, slider: part("#slider").value });
found.opened = look();
found.text = part(".text").textContent;
found.curves = all("svg .values").map((one) => one.getAttribute("d").split(/[ML]/).length - 1);
at(all(".text span")[5], "pointerover", .5, .5);
found.hovered = look();
all(".text span")[5].click();
press("ArrowLeft");
found.back = look();
press("Home");
found.start = look();
press("End");
at(part("canvas"), "pointermove", 0, 5.5 / 12);
found.pointed = look();
at(part("canvas"), "click", 10.5 / 25, 7.5 / 12);
found.map = { ...look(), selected: all(".text span").findIndex((one) => one.classList.contains("selected")) };
at(part("svg"), "pointerdown", 4.5 / 25, .5);
found.curve = look();
part("#slider").value = "7";
part("#slider").dispatchEvent(new Event("input"));
found.slid = look();
const page = () => getComputedStyle(document.body).backgroundColor;
found.light = page();
part("#theme").click();
found.dark = page();
const corner = () => [...part("canvas").getContext("2d").getImageData(0, 11, 1, 1).data].slice(0, 3);
found.map_dark = corner();
dispatchEvent(new Event("beforeprint"));
found.map_printed = corner();
dispatchEvent(new Event("afterprint"));
found.map_after = corner();
part("#beside").value = "1";
part("#beside").dispatchEvent(new Event("change"));
press("End");
found.panes = all(".label").map((one) => one.textContent);
found.last = Number(part("#slider").max);
found.texts = all(".text").map((one) => one.textContent);
part("#slider").value = "12";
part("#slider").dispatchEvent(new Event("input"));
found.drawn = all(".text").map((one) => [...one.children].map((token) => token.className.split(" ")[0]));
part("#slider").value = "20";
part("#slider").dispatchEvent(new Event("input"));
found.made = all(".settings").map((one) => one.textContent);
found.wide = document.documentElement.scrollWidth <= innerWidth;
document.body.replaceChildren(JSON.stringify(found));
"""
"""Stands at the end of a copy of the page, without its policy, and leaves what it saw as the page's text."""

chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


def dumped(page: Path, *more: str) -> str:
    """Return a page's document after its scripts have run."""
    assert CHROMIUM is not None
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    home = page.parent / "profile"
    command = [
        CHROMIUM, "--headless", *sandbox, "--disable-gpu", f"--user-data-dir={home}", *more, "--dump-dom",
        page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout


@chromium
def test_the_page_runs_under_its_policy_and_opens_at_the_end(tmp_path: Path) -> None:
    trace = with_branch(tmp_path / "run").trace(0)
    exported(tmp_path)
    document = dumped(tmp_path / "out.html")
    text = re.search(r'<div class="text"[^>]*>(.*?)</div>', document, re.DOTALL)
    assert text is not None
    shown = unescape(re.sub(r"<[^>]*>", "", text[1]))
    assert shown == "".join("abcde_"[token] for token in trace.tokens(STEPS, 0))
    assert f"step {STEPS} of {STEPS}" in document


@chromium
@pytest.mark.parametrize("width", [390, 1200])
def test_pointer_and_keys_tell_where_and_why(tmp_path: Path, width: int) -> None:
    recording = with_branch(tmp_path / "run", edited=True)
    page = re.sub(r"<meta http-equiv[^>]*>", "", exported(tmp_path))
    (tmp_path / "driven.html").write_text(page.replace("</body>", f"<script>{DRIVER}</script></body>"))
    document = dumped(tmp_path / "driven.html", f"--window-size={width},800")
    found = json.loads(unescape(re.findall(r"<body[^>]*>(.*?)</body>", document, re.DOTALL)[0]))
    trace = recording.trace(0)

    def step(seen: dict[str, str]) -> int:
        return int(re.match(r"step (\d+) of", seen["label"])[1])  # type: ignore[index]

    assert [step(found[name]) for name in ("opened", "back", "start", "map", "curve", "slid")] == [
        STEPS, STEPS - 1, 0, 10, 4, 7,
    ]  # fmt: skip
    assert found["opened"]["slider"] == str(STEPS)
    assert found["opened"]["settings"].startswith("remdm-cap · eta ")
    assert found["start"]["settings"].startswith("next: remdm-cap")
    assert len(found["curves"]) == 4
    assert found["curves"][:3] == [STEPS] * 3
    # why: the last event of the token, with the draw that decided it
    events = [p for p in range(1, STEPS + 1) if trace.change(p, 0)[5] in (Change.REVEALED, Change.REMASKED)]
    reason = (
        rf'position 5, step {STEPS}: revealed as "[a-e]"( at step {events[-1]})?: (u = \S+ < p\(reveal\) = \S+|masked)'
    )
    assert re.match(reason, found["hovered"]["why"])
    assert found["back"]["why"].startswith(f"position 5, step {STEPS - 1}: ")
    assert found["pointed"]["why"] == "position 5, step 0: masked since the start"
    assert found["map"]["selected"] == 7
    assert (found["light"], found["dark"]) == ("rgb(255, 255, 255)", "rgb(18, 18, 20)")
    # masked at the start: in print always as on a light page
    dark, light = (colours["ground"][0] for colours in data_of(page)["colours"])
    assert (found["map_dark"], found["map_printed"], found["map_after"]) == (dark, light, dark)
    # two branches side by side, each at its own end
    assert [re.findall(r"branch (\d).*step (\d+) of", label)[0] for label in found["panes"]] == [
        ("0", str(STEPS)), ("1", str(STEPS - 4)),
    ]  # fmt: skip
    assert found["last"] == STEPS
    assert found["texts"][0] == "".join("abcde_"[token] for token in trace.tokens(STEPS, 0))
    names = [state["name"] for state in data_of(page)["states"]]
    assert found["drawn"] == [[names[one] for one in recording.trace(number).change(12, 0)] for number in (0, 1)]
    assert "eta 0.0175" in found["made"][1]
    assert "eta 0.0175" not in found["made"][0]
    assert found["wide"]
