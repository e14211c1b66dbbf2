"""Characters of several tokens: whole at the first of them, a mark for bytes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from engine.characters import Characters, joined
from engine.models.text import Codec
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
    assert joined(parts) == texts


@pytest.mark.parametrize("make", [lambda: library.byte_level([]), library.byte_fallback])
def test_a_tokenizer_tells_the_bytes_of_its_parts(make) -> None:
    codec = Codec(make())
    pieces, ids = codec.pieces(codec.size), np.array(codec.encode(WORD))
    characters = Characters(codec.fragments(pieces), codec.size)
    assert "".join(characters.texts(ids, pieces)).strip() == WORD
    assert "\ufffd" in "".join(characters.texts(ids[:-1], pieces))
