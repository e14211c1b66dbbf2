"""Pictures of the real command in a pseudo-terminal: every state of the screen, in every size and kind of colours.

python scripts/picture.py --all DIRECTORY [--state paused ...] [--look dark ...]
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.color import Color
from rich.style import Style

from remdm_tui.exports.pictures import raster_of
from remdm_tui.exports.scene import SceneLine
from remdm_tui.preferences.config_file import NAME
from remdm_tui.preferences.last_session import FILE, Memory, Remembered
from tests.tui.terminal import Terminal

SIZES = ((60, 20), (80, 24), (120, 40), (200, 60), (300, 80))
USUAL = (120, 40)
LOOKS: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "dark": ((), {"COLORTERM": "truecolor"}),
    "light": ((), {"COLORTERM": "truecolor", "TEXTUAL_THEME": "textual-light"}),
    "high-contrast": ((), {"COLORTERM": "truecolor", "TEXTUAL_THEME": "high-contrast"}),
    "no-color": ((), {"COLORTERM": "truecolor", "NO_COLOR": "1"}),
    "ascii": (("--ascii",), {"COLORTERM": "truecolor"}),
    "256": ((), {"COLORTERM": "", "TERM": "xterm-256color"}),
    "16": ((), {"COLORTERM": "", "TERM": "xterm"}),
}
"""Options and variables of each kind of colours."""
RUN = ("watch", "--steps", "128", "--length", "128", "--seed", "11", "--eta", ".05")
HELD = (*RUN, "--break", "step 60")
"""Stopped by itself: a run that plays may be over before a key comes."""
NAMES = {"brown": "yellow"}
"""What pyte calls colours otherwise than Rich."""


@dataclass(frozen=True)
class State:
    """One state of the screen."""

    arguments: Callable[[Path], tuple[str, ...]]
    """of the command, with the directory of this state's files"""
    act: Callable[[Terminal], None]
    """brings it about"""


def at(least: int) -> Callable[[str], bool]:
    """Return a condition: the header shows this step or a later one."""

    def taken(screen: str) -> bool:
        found = re.search(r"(\d+)/\d+", screen.splitlines()[0])
        return found is not None and int(found[1]) >= least

    return taken


def running(person: Terminal) -> None:
    person.wait(at(30))


def paused(person: Terminal) -> None:
    person.wait(lambda s: "paused 60/" in s.splitlines()[0])


def inspecting(person: Terminal) -> None:
    person.wait(lambda s: "stopped at step" in s and re.search(r"position \d+", s) is not None)


def replayed(person: Terminal) -> None:
    person.wait(at(0))
    person.press("G")
    person.wait(at(40))


def wait_for_question(person: Terminal) -> None:
    person.wait(lambda s: "enter loads" in s)


def killed(person: Terminal) -> None:
    paused(person)
    for pid in person.children():
        os.kill(pid, signal.SIGKILL)
    person.wait(lambda s: "killed by signal" in s)


def recorded(home: Path) -> Path:
    """Record a run, once; return its file."""
    path = home / "run.remdm"
    if not path.exists():
        person = Terminal([*RUN, "--record", str(path)])
        try:
            person.wait(lambda s: "done" in s.splitlines()[0])
            person.press("q")
            person.exit_code()
        finally:
            person.close()
    return path


def damaged(home: Path) -> Path:
    """Return a copy of the recording that ends in the middle, and is wrong before that."""
    path, data = home / "damaged.remdm", bytearray(recorded(home).read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data[: len(data) * 3 // 4]))
    return path


STATES = {
    "running": State(lambda _: RUN, running),
    "paused": State(lambda _: HELD, paused),
    "inspecting": State(lambda _: (*RUN, "--break", "remasked > 3"), inspecting),
    "comparing": State(lambda _: (*HELD, "--compare", "mdlm", "--compare", "low-confidence"), paused),
    "batch": State(lambda _: (*HELD, "--batch", "4"), paused),
    "replay": State(lambda home: ("replay", str(recorded(home))), replayed),
    "damaged": State(lambda home: ("replay", str(damaged(home))), replayed),
    "no-model": State(lambda _: ("watch", "--model", "nowhere/none"), wait_for_question),
    "killed": State(lambda _: HELD, killed),
}


def draw_all(out: Path, states: list[str], looks: list[str]) -> Iterator[Path]:
    """Write the pictures; yield the path of each.

    Every state is drawn in all sizes in the first of `looks`, and in one size in the others.
    """
    out.mkdir(parents=True, exist_ok=True)
    for state in states:
        for look in looks:
            sizes = SIZES if look == looks[0] else (USUAL,)
            yield from draw(out, state, look, sizes)


def draw(out: Path, state: str, look: str, sizes: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Write one state and look in several sizes, between which the terminal is resized."""
    (options, variables), made = LOOKS[look], STATES[state]
    # somebody who has seen the first steps: to close them would also close what the state opens
    toured = Memory(Remembered(), out / "state" / NAME / FILE)
    toured.write(Remembered(toured=True))
    environment: dict[str, Any] = {**variables, "XDG_STATE_HOME": str(out / "state")}
    person = Terminal([*made.arguments(out), *options], *USUAL, **environment)
    try:
        made.act(person)
        settle(person)
        for columns, rows in (USUAL, *(size for size in sizes if size != USUAL)):
            resize(person, columns, rows)
            settle(person)
            path = out / f"{state}-{look}-{columns}x{rows}.png"
            picture(person, columns, rows, light=look == "light").save(path, "PNG")
            yield path
    finally:
        person.close()


def resize(person: Terminal, columns: int, rows: int) -> None:
    """Give the terminal another size."""
    person._screen.resize(rows, columns)
    fcntl.ioctl(person._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with contextlib.suppress(ProcessLookupError):
        os.kill(person.process.pid, signal.SIGWINCH)


def settle(person: Terminal, seconds: float = 2.0, most: float = 8.0) -> None:
    """Read until nothing comes for some time."""
    quiet, end = time.monotonic() + seconds, time.monotonic() + most
    while time.monotonic() < min(quiet, end):
        before = len(person.raw)
        person.read(0.1)
        if len(person.raw) != before:
            quiet = time.monotonic() + seconds


def picture(person: Terminal, columns: int, rows: int, light: bool) -> Image.Image:
    """Return what the terminal shows as a picture of Pillow's."""
    page = page_of(person, columns, rows)
    return raster_of([page], columns, light).picture(page)


def page_of(person: Terminal, columns: int, rows: int) -> list[SceneLine]:
    """Return the lines of the terminal with their styles."""
    lines: list[SceneLine] = []
    for row in range(rows):
        cells = person._screen.buffer[row]
        # a wide character leaves the cell behind it empty
        lines.append(tuple((cells[column].data, style_of(cells[column])) for column in range(columns)))
    return lines


def style_of(cell: Any) -> Style:
    """Return the style of a cell of pyte's."""
    return Style(
        color=colour(cell.fg), bgcolor=colour(cell.bg), bold=cell.bold, italic=cell.italics,
        underline=cell.underscore, reverse=cell.reverse, strike=cell.strikethrough,
    )  # fmt: skip


def colour(name: str) -> Color | None:
    """Return a colour of pyte's, as a terminal shows it; None for the terminal's own."""
    if name == "default":
        return None
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return Color.parse(f"#{name}")
    bright = name.startswith("bright")
    plain = NAMES.get(name.removeprefix("bright"), name.removeprefix("bright"))
    return Color.from_triplet(Color.parse(f"bright_{plain}" if bright else plain).get_truecolor())
