"""An item of a task on screen: its answer, and whether it is right, at every step."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.tasks.questions import AnswerVerdict
from remdm_tui.settings.watched_item import WatchedItem
from remdm_tui.widgets.text_rows import TextRows
from tests.tui.test_app import settle, watching

ITEM = WatchedItem(Path("runs"), "ab12", "sums 3", 3, ())


class Judge:
    """Judges at once, by what it is told to."""

    def __init__(self, item: WatchedItem) -> None:
        self.item, self.waiting, self.problem = item, False, ""
        self.texts: list[str] = []
        made.append(self)

    def judged(self, text: str) -> AnswerVerdict | None:
        self.texts.append(text)
        return AnswerVerdict(f"{len(text)} letters", len(text) > 0, "some")

    def close(self) -> None:
        self.problem = "closed"


made: list[Judge] = []


def first_row(widget: TextRows) -> str:
    return "".join(text for text, _ in widget.rows[0])


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_the_answer_is_judged_at_every_step(monkeypatch: pytest.MonkeyPatch, ascii_only: bool) -> None:
    monkeypatch.setattr("remdm_tui.ui.watched_answer.AnswerProcess", Judge)
    async with watching(item=ITEM, prompt="What", ascii=ascii_only).run_test(size=(120, 40)) as pilot:
        app = pilot.app
        await settle(pilot)
        shown = first_row(app.main.figures)
        assert shown == ("wrong: 0 letters, not some" if ascii_only else "✗ wrong: 0 letters, not some")
        for _ in range(3):
            await pilot.press("right")
            await settle(pilot)
        text = made[-1].texts[-1]
        assert text
        assert not text.startswith(" sea sea sea")  # the prompt is no answer
        shown = first_row(app.main.figures)
        assert shown == f"{'' if ascii_only else '✓ '}right: {len(text)} letters"
        assert "item sums 3" in first_row(app.main.status)
    assert made[-1].problem == "closed"


async def test_on_a_small_terminal_the_answer_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remdm_tui.ui.watched_answer.AnswerProcess", Judge)
    async with watching(item=ITEM).run_test(size=(64, 18)) as pilot:
        await settle(pilot)
        assert first_row(pilot.app.main.line).startswith("✗ wrong: 0 letters, not some   ")
