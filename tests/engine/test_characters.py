"""Characters of several tokens: whole at the first of them, a mark for other bytes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.models.text import Codec
from engine.text.characters import Characters, fragment_texts
from tests.engine import library

WORD = "中é🙂"


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        (("中".encode()[:1], "中".encode()[1:]), ("中", "")),
        ((b" \xe4", b"\xb8", b"\xad\xc3", b"\xa9."), (" 中", "", "é", ".")),
        ((b"\xe4", b"\xb8"), ("\ufffd", "\ufffd")),
        ((b"\xad\xe4\xb8", b"\xad"), ("\ufffd中", "")),
    ],
)
def test_a_character_is_the_text_of_the_first_of_its_tokens(parts: tuple[bytes, ...], texts: tuple[str, ...]) -> None:
    assert fragment_texts(parts) == texts


@pytest.mark.parametrize("make", [lambda: library.byte_level([]), library.byte_fallback])
def test_a_tokenizer_tells_the_bytes_of_its_parts(make) -> None:
    codec = Codec(make())
    pieces, ids = codec.pieces(codec.size), np.array(codec.encode(WORD))
    characters = Characters(codec.fragments(pieces), codec.size)
    assert "".join(characters.texts(ids, pieces)).strip() == WORD
    assert "\ufffd" in "".join(characters.texts(ids[:-1], pieces))


HAN = "中".encode()
PARTS = Characters({1: HAN[:1], 2: HAN[1:], 3: HAN[:2], 4: HAN[2:]}, 6)


def test_a_character_is_spelled_with_the_longest_parts_that_make_it_up() -> None:
    assert PARTS.spell("中") == (3, 4)
    assert [PARTS.name(token) for token in (0, 1, 3)] == ["", r"\xe4", r"\xe4\xb8"]
    assert PARTS.token(r"\xe4\xb8") == 3
    assert (PARTS.spell("文"), PARTS.spell(""), PARTS.token("a")) == ((), (), None)


def test_what_is_known_of_a_part_holds_for_its_whole_character() -> None:
    tokens = np.array([0, 1, 2, 1, 3, 4])
    assert PARTS.widened(tokens == 2, tokens).tolist() == [False, True, True, False, False, False]
    assert PARTS.where(tokens[None], lambda text: text == "中").tolist() == [[False, True, False, False, True, False]]
    assert PARTS.character(2, 2, tokens) == "中"
    assert (PARTS.character(4, 2, tokens), PARTS.character(0, 2, tokens)) == ("", "")
