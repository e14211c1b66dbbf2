"""Colours by design: enough contrast in every theme, and states that differ on terminals of few colours."""

import pytest
from rich._palettes import EIGHT_BIT_PALETTE, STANDARD_PALETTE
from rich.color import Color as Terminal
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from remdm_tui.app import WatchApp
from remdm_tui.preferences.contrast import LINE, TEXT, contrast, with_contrast
from remdm_tui.preferences.themes import HIGH_CONTRAST, READABLE, THEMES, readable_variables
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.canvas import FAINT_BELOW
from remdm_tui.render.palette import FAINT_GRADES, HUES, palette
from remdm_tui.settings.watch_options import WatchOptions
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import CAP, settle

SYSTEMS = {"256": ColorSystem.EIGHT_BIT, "standard": ColorSystem.STANDARD}
GRAPHIC = frozenset("─│╭╮╰╯━┃┏┓┗┛░╳●◆►‖■▁▂▃▄▅▆▇█▀▎")
PAGES = {True: ("#121212", "#1e1e1e", "#000000"), False: ("#e0e0e0", "#d8d8d8")}
"""What is behind the text under Textual's own themes and the one of high contrast."""


def of(colour):
    return Color(*colour.get_truecolor())


def shown(colour, system):
    """The colour that a terminal of few colours takes for one."""
    table = STANDARD_PALETTE if system == "standard" else EIGHT_BIT_PALETTE
    return table[colour.downgrade(SYSTEMS[system]).number]


def drawn_pairs(app):
    """What stands on screen with the colours of text and ground, but for the map, whose cells are all ground."""
    for strip in app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if not text.strip() or style is None or style.color is None or style.bgcolor is None or set(text) & {*"▀▄"}:
                continue
            front, back = of(style.color), of(style.bgcolor)
            yield text.strip(), *((back, front) if style.reverse else (front, back))


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", HIGH_CONTRAST.name])
async def test_everything_on_the_screen_stands_out(theme):
    app = WatchApp(WatchOptions(CAP, steps=24, length=96, paused=True, prompt="sea"), ScriptedLink, clock=lambda: 0.0)
    async with app.run_test(size=(120, 40)) as pilot:
        app.theme = theme
        await settle(pilot)
        await pilot.press(*["right"] * 8)
        kinds = set()
        for keys in (("asterisk",), ("2",), ("escape", "C", "I"), ("C", "O"), ("E", "M"), ("j",)):
            await pilot.press(*keys)
            await settle(pilot)
            for text, front, back in drawn_pairs(app):
                graphic = all(c in GRAPHIC or 0x2800 <= ord(c) < 0x2900 or c == " " for c in text)
                kinds.add(graphic)
                assert contrast(front, back) >= (LINE if graphic else TEXT), (text, front.hex, back.hex)
        assert kinds == {True, False}


@pytest.mark.parametrize("name", [name for name in THEMES if "ansi" not in name])
def test_lines_and_notes_stand_out_in_every_theme(name):
    known = THEMES[name].to_color_system().generate()
    found = readable_variables(known)
    for variable, _, behind, least in READABLE:
        for ground in behind:
            if ground in known:
                assert contrast(Color.parse(found[variable]), Color.parse(known[ground])) >= least


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", ["textual-dark", "textual-light", HIGH_CONTRAST.name])
def test_bars_and_keys_stand_out_with_few_colours(name, system):
    theme = THEMES[name]
    known = theme.to_color_system().generate()
    found = known | readable_variables(known, theme.dark, system)
    colours = {
        variable: Color(*shown(Terminal.parse(found[variable].lower()), system))
        for variable in ("panel", "footer-background", "footer-key-foreground")
    }
    ink = Color(*shown(Terminal.parse(Color.parse(known["foreground"]).hex6.lower()), system))
    assert contrast(colours["footer-key-foreground"], colours["footer-background"]) >= TEXT
    assert contrast(ink, colours["panel"]) >= TEXT


def test_a_theme_that_leaves_its_colours_to_the_terminal_keeps_them():
    assert readable_variables({"foreground": "ansi_default", "background": "ansi_default"})["note"] == "ansi_default"
    assert len(THEMES) == len(BUILTIN_THEMES) + 1


def test_a_colour_that_stands_out_stays():
    page, ink = Color.parse("#121212"), Color.parse("#6cb6ff")
    assert with_contrast(ink, [page], TEXT) == ink
    assert contrast(with_contrast(Color.parse("#004578"), [page], LINE), page) >= LINE


def styles(dark, system):
    colours = palette(dark, system=system)
    looks = {look.name: look.style for look in colours.looks.values() if look.name != "kept"}
    levels = {f"level {level}": style for level, style in enumerate(colours.levels)}
    return {**looks, **levels, "draft": colours.draft, "match": colours.match}


@pytest.mark.parametrize("system", HUES)
@pytest.mark.parametrize("dark", [True, False])
def test_a_token_that_is_dimmed_can_be_read_and_told_from_others(dark, system):
    faint = palette(dark, system=system).faint
    assert len(faint) == FAINT_GRADES == len(FAINT_BELOW)
    assert len({(style.color, style.italic) for style in faint}) == len(faint)
    assert all(contrast(of(style.color), Color.parse(page)) >= TEXT for style in faint for page in PAGES[dark])


@pytest.mark.parametrize("system", HUES)
@pytest.mark.parametrize("dark", [True, False])
def test_every_style_of_a_token_stands_out_with_any_number_of_colours(dark, system):
    for name, style in styles(dark, system).items():
        grounds = [of(style.bgcolor)] if style.bgcolor else [Color.parse(page) for page in PAGES[dark]]
        # a terminal of 16 colours has no grey between
        least = LINE if name == "masked" else 0 if name == "draft" and system == "standard" else TEXT
        if name == "masked" and system == "standard":
            least = 2
        assert all(contrast(of(style.color), ground) >= least for ground in grounds), name


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("dark", [True, False])
def test_a_terminal_of_few_colours_has_those_of_the_palette_exactly_and_they_differ(dark, system):
    found = styles(dark, system)
    for name, style in found.items():
        for colour in (style.color, style.bgcolor):
            if colour is not None:
                assert shown(colour, system) == colour.get_truecolor(), name
    pairs = [(style.color, style.bgcolor, style.italic, style.reverse) for style in found.values()]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("dark", [True, False])
def test_the_cells_of_the_map_have_a_colour_each_with_few_colours(dark, system):
    page = (0x12, 0x12, 0x12) if dark else (0xE0, 0xE0, 0xE0)
    table = paint.colour_table(dark, page, system)
    # on 16 colours signs tell the ground
    first = paint.GROUND if system == "256" else paint.PROMPT
    found = [shown(Terminal.from_rgb(*rgb), system) for rgb in table[first : paint.COLOURS]]
    assert found[paint.PROMPT - first :] == table[paint.PROMPT : paint.COLOURS]
    states, levels = found[: paint.SCALE - first], found[paint.SCALE - first :]
    assert len(set(states)) == len(states)
    assert len(set(levels)) == len(levels)
