"""What is drawn: no character of a stranger's text reaches the terminal, wherever on the screen it stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from engine import wire
from engine.records import ModelChoice, Settings
from remdm_tui.app import WatchApp
from remdm_tui.console.sanitize import is_visible
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.output_filter import SafeFilter
from remdm_tui.watch.notices import Notice
from remdm_tui.widgets.text_rows import PLAIN
from tests.tui.scripted import ScriptedLink
from tests.waiting import seen

CONTROLS = "".join(map(chr, (*range(32), *range(127, 160))))
HOSTILE = f"x\x1b]0;title\x07\x1b]52;c;Y2xpcA==\x07{CONTROLS}\u202e\u2066\u200b\u200d\u2028\ufeff\U000e0041y"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_drawn_line_keeps_its_width_and_loses_what_acts(text: str) -> None:
    (drawn,) = SafeFilter().apply([Segment(text)], Color(0, 0, 0))
    assert all(map(is_visible, drawn.text))
    assert cell_len(drawn.text) == cell_len(text)


def test_plain_lines_are_not_made_anew() -> None:
    line = [Segment("the sea"), Segment(" was calm")]
    assert SafeFilter().apply(line, Color(0, 0, 0)) is line


def drawn(app: WatchApp) -> str:
    """Return all that stands on the screen, as it is written to the terminal."""
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()
    )  # fmt: skip


def foreign(app: WatchApp) -> set[str]:
    """Return the characters on the screen that are none to see."""
    return {c for c in drawn(app) if c != "\n" and not is_visible(c)}


async def test_hostile_words_on_the_screen_do_nothing() -> None:
    choice, link = ModelChoice(HOSTILE), ScriptedLink(HOSTILE)
    app = WatchApp(
        WatchOptions(Settings("remdm-cap"), choice, steps=8, length=16, paused=True, where=HOSTILE),
        lambda: link,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await seen(pilot, lambda app: app.watching.has_record)
        await pilot.press("a")
        await seen(pilot, lambda app: len(app.screen_stack) == 2)
        assert not foreign(app)
        await pilot.press("escape")
        await seen(pilot, lambda app: len(app.screen_stack) == 1)
        link.open = lambda _: link.events.append(wire.Loading(HOSTILE, 1, 2))  # type: ignore[method-assign]
        for notice, loads in ((Notice(HOSTILE, "failure"), False), (Notice(), True)):
            app.watching.notice = notice
            if loads:
                app.watching.load(choice)
            app.refresh_clock.presenter._draw_banner(notice, app.watching.progress)
            app.main.status.write([((HOSTILE, PLAIN),)])
            app.main.banner.update(HOSTILE)
            app.notify(HOSTILE, markup=False)
            for _ in range(3):
                await pilot.pause()
            assert not foreign(app)
