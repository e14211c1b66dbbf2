"""What a terminal sends: every byte is taken, and none ends the application."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message

from remdm_tui.ui.keyboard import Keyboard, read_input
from tests.waiting import PATIENCE


def keys(found: list[Message]) -> list[str | None]:
    return [event.character for event in found if isinstance(event, events.Key)]


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\x1b[", b"\x1b[M", b"\x1b[<", b"99999999999", b"u", b";"])))
def test_no_bytes_are_an_error(parts: list[bytes]) -> None:
    keyboard = Keyboard()
    for part in parts:
        keyboard.feed(part)
        keyboard.tick()


@pytest.mark.parametrize(
    "malformed",
    [b"\x1b[999999999999u", b"\x1b[48;0;0;0;0t\x1b[<0;1;1M", b"\x1b[M#\x98*", b"\x00\xff"],
)
def test_keys_after_a_malformed_sequence_arrive(malformed: bytes) -> None:
    assert keys(Keyboard().feed(malformed + b"q"))[-1] == "q"


def test_a_letter_of_latin_1_is_that_letter() -> None:
    assert keys(Keyboard().feed(b"\xe9q")) == ["é", "q"]


def test_half_a_character_waits_for_its_rest() -> None:
    keyboard = Keyboard()
    halves = [keyboard.feed(bytes([byte])) for byte in "日é".encode()]
    assert [key for half in halves for key in keys(half)] == ["日", "é"]


def test_a_paste_with_any_bytes_is_a_paste() -> None:
    (paste,) = Keyboard().feed(b"\x1b[200~caf\xe9\n\x00\xff" + b"x" * 100_000 + b"\x1b[201~q")[:1]
    assert isinstance(paste, events.Paste)
    assert paste.text == "café\nÿ" + "x" * 100_000


def test_reading_ends_when_the_terminal_has_gone() -> None:
    ours, theirs = os.openpty()
    os.write(ours, b"q\n")
    taken: list[Message] = []
    there: list[bool] = []
    reader = threading.Thread(
        target=lambda: there.append(read_input(theirs, lambda: False, taken.append, Keyboard())), daemon=True
    )
    reader.start()
    os.close(ours)
    reader.join(PATIENCE)
    os.close(theirs)
    assert there == [False]


def test_a_letter_of_another_encoding_comes_before_the_next_key() -> None:
    keyboard = Keyboard()
    assert keyboard.feed(b"\xe9") == []
    assert [event.key for event in keyboard.rest()] == ["é"]
    assert keyboard.rest() == []


@pytest.mark.parametrize(
    ("begun", "rest"),
    [(b"\xe9", "é"), (b"\xe6\x97", "æ"), (b"a\xf0\x9f", "ð"), (b"\xe6\x97\xa5", ""), (b"", "")],
)
def test_a_character_that_does_not_go_on_is_letters_and_the_next_is_read_as_ever(begun: bytes, rest: str) -> None:
    keyboard = Keyboard()
    keyboard.feed(begun)
    assert "".join(event.character or "" for event in keyboard.rest() if isinstance(event, events.Key))[:1] == rest
    assert keyboard.rest() == []
    assert keys(keyboard.feed("日".encode())) == ["日"]
