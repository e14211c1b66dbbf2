"""The dialogs for a knob: a number with its range and help, a choice out of a list."""

import pytest
from textual.widgets import Input, Label

from remdm_tui.screens.models import ModelScreen
from remdm_tui.screens.value import KnobChoiceScreen, ValueScreen
from tests.tui.test_app import settle, watching
from tests.waiting import seen


async def opened(pilot, name, kind):
    app = pilot.app
    rows = [row.info.name for row in app.watching.panel()]
    await pilot.press(*["j"] * rows.index(name), "enter")
    await seen(pilot, lambda app: isinstance(app.screen, kind))
    return app.screen


def shown(screen):
    return " ".join(str(label.render()) for label in screen.query(Label) if label.display)


@pytest.mark.parametrize("plain", [False, True])
async def test_a_number_is_asked_for_with_help_range_default_and_slider(plain):
    async with watching(ascii=plain).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = await opened(pilot, "eta", ValueScreen)
        (info,) = [row.info for row in pilot.app.watching.panel() if row.info.name == "eta"]
        text = shown(screen)
        assert info.doc in text
        assert f"{info.low:g} to {info.high:g}; default 0.02; now 0.02" in text
        assert ("o" if plain else "●") in text
        before = str(screen.query_one("#slider").render())
        await pilot.press("ctrl+u", *"nemo", "enter")
        await seen(pilot, lambda app: "eta must be a number, not 'nemo'" in shown(screen))
        await pilot.press("ctrl+u", *"7", "enter")
        await seen(pilot, lambda app: "eta must lie in 0 to 1, not 7" in shown(screen))
        await pilot.press("ctrl+u", *".5")
        await seen(
            pilot, lambda app: "must" not in shown(screen) and str(screen.query_one("#slider").render()) != before
        )
        await pilot.press("up", "enter")
        await seen(pilot, lambda app: app.screen is app.main)
        assert 0.5 < pilot.app.watching.settings.knobs["eta"] <= 0.65


async def test_a_choice_is_a_list_in_which_the_present_one_is_highlighted():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = await opened(pilot, "strategy", KnobChoiceScreen)
        names = [info.name for info in pilot.app.watching.strategies]
        assert screen.at == names.index("remdm-cap")
        assert screen.query_one(Input).value == "remdm-cap"
        assert "Reveal only" in str(screen.options.get_option_at_index(names.index("mdlm")).prompt)
        await pilot.press("down")
        await seen(pilot, lambda app: screen.query_one(Input).value == names[names.index("remdm-cap") + 1])
        await pilot.press("enter")
        await seen(pilot, lambda app: app.watching.settings.strategy == names[names.index("remdm-cap") + 1])


async def test_what_is_typed_filters_the_choices_and_a_part_of_one_name_takes_it():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = await opened(pilot, "strategy", KnobChoiceScreen)
        names = [info.name for info in pilot.app.watching.strategies]
        every = screen.options.option_count
        assert every == len(names)
        await pilot.press(*"margin")
        await seen(pilot, lambda app: 0 < screen.options.option_count < every)
        assert all("margin" in str(option.prompt).casefold() for option in screen.options.options)
        # the rows go on from what is left, and stay while one goes through them
        left = screen.options.option_count
        await pilot.press("down")
        assert screen.query_one(Input).value in names
        assert screen.options.option_count == left
        await pilot.press("ctrl+u", *"llada-r", "enter")
        await seen(pilot, lambda app: app.watching.settings.strategy == "llada-remdm")


async def test_a_part_of_many_names_is_refused_and_a_part_of_a_path_is_no_model():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = await opened(pilot, "strategy", KnobChoiceScreen)
        await pilot.press(*"remdm", "enter")
        await seen(pilot, lambda app: "strategy must be one of" in shown(screen))
        await pilot.press("escape", "m")
        await seen(pilot, lambda app: isinstance(app.screen, ModelScreen))
        models = pilot.app.screen
        assert "demo" in str(models.options.get_option_at_index(0).prompt)
        taken = []
        models.accept = taken.append
        await pilot.press(*"dem", "enter")
        await seen(pilot, lambda app: taken == ["dem"])
