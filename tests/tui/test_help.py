"""The help: keys by what they are for, filtered by what is typed, and done by enter."""

from collections import Counter

import pytest

from remdm_tui.screens.help import GROUPS, HelpScreen, key_group
from remdm_tui.ui.key_table import KEYS
from tests.tui.test_app import settle, watching
from tests.waiting import seen


def test_every_key_is_in_one_group():
    named = Counter(name for names in GROUPS.values() for name in names.split())
    ids = {binding.id for binding in KEYS}
    missing, unknown = sorted(ids - named.keys()), sorted(named.keys() - ids)
    twice = sorted(name for name, times in named.items() if times > 1)
    assert not missing, f"add to GROUPS in remdm_tui/screens/help.py: {' '.join(missing)}"
    assert not unknown, f"remove from GROUPS in remdm_tui/screens/help.py, as no key has this id: {' '.join(unknown)}"
    assert not twice, f"name once in GROUPS in remdm_tui/screens/help.py: {' '.join(twice)}"
    assert key_group("mask") == "change"


async def test_what_is_typed_filters_and_enter_does_the_key_that_is_highlighted():
    async with watching().run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await seen(pilot, lambda app: isinstance(app.screen, HelpScreen) and app.screen.options.option_count > 60)
        await pilot.press(*"legend")
        screen = pilot.app.screen
        await seen(pilot, lambda app: [row.what for row in screen.filtered("legend")] == ["look", "Pin the legend"])
        await seen(pilot, lambda app: screen.options.option_count == 2)
        await pilot.press("down", "enter")
        await seen(pilot, lambda app: app.main.legend is not None and not isinstance(app.screen, HelpScreen))


@pytest.mark.parametrize("key", ["escape", "question_mark", "enter"])
async def test_the_help_closes_and_does_nothing(key):
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await seen(pilot, lambda app: isinstance(app.screen, HelpScreen))
        await pilot.press(*"zzz", key)
        await seen(pilot, lambda app: not isinstance(app.screen, HelpScreen))
        assert pilot.app.watching.player.position == 0


def test_every_key_says_at_length_what_it_does():
    assert [binding.id for binding in KEYS if not binding.tooltip] == []
