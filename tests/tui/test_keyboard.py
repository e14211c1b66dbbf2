"""What a terminal sends: every byte is taken, and none ends the application."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message

from remdm_tui.ui.keyboard import PASTING, WAIT, Keyboard, read_input
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


REPORTS = [
    b"\x1b]11;rgb:zz/\x07", b"\x1b]11;rgb:00/00/00\x1b\\", b"\x1b]52;c;" + b"A" * 5000 + b"\x07",
    b"\x1b]0;\xe2\x9c\x93\x07", b"\x1bP>|xterm(370)\x1b\\", b"\x1b_apc\x1b\\", b"\x1b^pm\x18", b"\x9d0;t\x07",
    b"\x90dcs\x9c", b"\xc2\x9b31m", b"\x1b[?2026;9999$y", b"\x1b[?2048;99$y", b"\x1b[999999;99999R", b"\x1b[?62;22c",
    b"\x1b[>41;370;0c", b"\x1b[?0u", b"\x1b[8;24;80t", b"\x1b[" + b"1;" * 500 + b"R", b"\x1b[\xc2\xb2;1R",
    b"\x1b[48;0;0;0;0t", b"\x1b[48;99999;99999;1;1t", b"\x1b[1114112u", b"\x1b[55296u", b"\x1b[97;;1114112u",
    b"\x1b[:::u", b"\x1b[<0;9999999999999999999;1M", b"\x1b[M\xa0\xff\xfe", b"\x1b[M \xc3\xa9", b"\x1b[M#\x1b\x80",
    b"\x1b[201~",
    # broken off, where the key behind it tells so
    b"\x1b[", b"\x1b[?1;2", b"\x1b[<0;1;1", b"\x9b",
]  # fmt: skip


def taken(parts: list[bytes]) -> list[Message]:
    keyboard = Keyboard()
    return [event for part in parts for event in keyboard.feed(part)]


@pytest.mark.parametrize("report", REPORTS, ids=repr)
def test_a_report_types_nothing_and_the_key_behind_it_arrives_at_once(report: bytes) -> None:
    data = report + b"q"
    cuts = range(1, len(data)) if len(data) < 100 else (2, len(data) // 2, len(data) - 2)
    for parts in ([data], [data[i : i + 1] for i in range(len(data))], *([data[:at], data[at:]] for at in cuts)):
        assert keys(taken(parts)) == ["q"], parts


@pytest.mark.parametrize(
    "opening", [b"\x1b]11;never ends", b"\x1bP" + b"x" * 9000, b"\x1b_apc", b"\x1bXsos", b"\x90dcs"]
)
def test_the_key_behind_a_string_that_never_ends_arrives_when_nothing_more_comes(opening: bytes) -> None:
    now = 0.0
    keyboard = Keyboard(clock=lambda: now)
    assert keys(keyboard.feed(opening + b"q") + keyboard.tick()) == []
    now += WAIT
    assert keys(keyboard.tick()) == ["q"]
    assert keys(keyboard.feed(b"q")) == ["q"]


def test_a_paste_without_end_ends_when_nothing_more_comes() -> None:
    now = 0.0
    keyboard = Keyboard(clock=lambda: now)
    assert keyboard.feed(b"\x1b[200~some") + keyboard.feed(b"\x1b[31mthing") == []
    now += PASTING
    (paste,) = keyboard.tick()
    assert isinstance(paste, events.Paste)
    assert paste.text == "some\x1b[31mthing"
    assert keys(keyboard.feed(b"q")) == ["q"]


@pytest.mark.parametrize(
    ("sequence", "key"),
    [(b"\x1b[A", "up"), (b"\x1bOP", "f1"), (b"\x1b[[A", "f1"), (b"\x1b[3$", "shift+delete"), (b"\x1b[a", "shift+up"),
     (b"\x1b[1;2C", "shift+right"), (b"\x1b[97;5u", "ctrl+a"), (b"\xc2\x9bA", "up"), (b"\x8fP", "f1")],
)  # fmt: skip
def test_a_key_is_that_key_however_it_is_split(sequence: bytes, key: str) -> None:
    for at in range(len(sequence)):
        (event,) = taken([sequence[:at], sequence[at:]])
        assert isinstance(event, events.Key)
        assert event.key == key


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
    ("opening", "rest"),
    [(b"\xe9", "é"), (b"\xe6\x97", "æ"), (b"a\xf0\x9f", "ð"), (b"\xe6\x97\xa5", ""), (b"", "")],
)
def test_a_character_that_does_not_go_on_is_letters_and_the_next_is_read_as_ever(opening: bytes, rest: str) -> None:
    keyboard = Keyboard()
    keyboard.feed(opening)
    assert "".join(event.character or "" for event in keyboard.rest() if isinstance(event, events.Key))[:1] == rest
    assert keyboard.rest() == []
    assert keys(keyboard.feed("日".encode())) == ["日"]
