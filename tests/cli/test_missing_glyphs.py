"""Characters that a picture's font lacks are named once, after the export."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import ImageFont
from rich.style import Style

from remdm_tui.exports import raster
from remdm_tui.exports.raster import Raster, has_glyph
from remdm_tui.exports.screen import write_screen

PLAIN = Style()


def drawn(*lines: str) -> str:
    picture = Raster([PLAIN], 80, 1, light=False)
    for line in lines:
        picture.image([((line, PLAIN),)])
    return picture.remark


def test_a_font_has_what_the_screen_is_drawn_with() -> None:
    assert drawn("plain text ░╳●━│é€ \u2001⠁") == ""


def test_characters_without_a_glyph_are_counted_and_named() -> None:
    assert drawn("sea \U0010fffd", "\U0010fffd") == (
        "the font lacks 1 character (\U0010fffd), drawn as boxes: svg and html have every character"
    )
    many = "".join(map(chr, range(0xF0000, 0xF0000 + 11)))
    assert "lacks 11 characters (" in drawn(many)
    assert " and 3 more)" in drawn(many)


def test_letters_that_are_there_are_not_taken_for_boxes() -> None:
    font = raster.monospaced(False)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert all(has_glyph(font, c) for c in "aé░╳")
    assert not has_glyph(font, "\U0010fffd")


@pytest.mark.parametrize(("text", "remarks"), [("sea", 0), ("\U0010fffd \U0010fffd", 1)])
def test_the_sentence_follows_the_export_of_a_picture_alone(tmp_path: Path, text: str, remarks: int) -> None:
    page = [((text, PLAIN),)]
    assert write_screen(page, 20, tmp_path / "out.png", light=False).count("the font lacks") == remarks
    assert "lacks" not in write_screen(page, 20, tmp_path / "out.svg", light=False)
