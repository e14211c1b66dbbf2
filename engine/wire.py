"""The messages between terminal and engine, and how they are encoded.

The engine greets first, after any output of a login shell or a launcher: `MAGIC`, its protocol and its version.  Then
both sides send msgpack; each message follows its length and checksum, and is validated on arrival.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import msgspec

# both sides take the messages from here, so that a new one is declared once, where its class is
from engine.debug.messages import *  # noqa: F403
from engine.debug.messages import DebugCommand, DebugEvent
from engine.files.jsonl import DAMAGED
from engine.messages import *  # noqa: F403
from engine.messages import LARGEST, Failed, Message, Quit, Rejected, RunCommand, RunEvent

PROTOCOL = 8
MAGIC = b"remdm\x00"
NOISE = 1 << 16
"""The largest number of bytes before the greeting."""
HEADER = struct.Struct("<II")
"""Length and CRC-32 of a message's bytes."""
GREETING = struct.Struct("<HB")
"""Protocol, and length of the version's text."""

Command = RunCommand | DebugCommand | Quit
Event = RunEvent | DebugEvent | Rejected | Failed

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


class Greeting(NamedTuple):
    """Protocol and version of the engine."""

    protocol: int
    version: str


def greet(stream: IO[bytes], version: str, protocol: int = PROTOCOL) -> None:
    """Write the engine's greeting."""
    text = version.encode("ascii")
    stream.write(MAGIC + GREETING.pack(protocol, len(text)) + text)
    stream.flush()


def read_greeting(stream: IO[bytes]) -> Greeting:
    """Read the greeting, after at most `NOISE` other bytes.  Raises ValueError with these bytes if none comes."""
    noise = bytearray()
    while not noise.endswith(MAGIC):
        byte = stream.read(1)
        if not byte or len(noise) > NOISE:
            raise ValueError(noise.decode("utf-8", "replace"))
        noise += byte
    head = stream.read(GREETING.size)
    if len(head) < GREETING.size:
        raise ValueError("")
    protocol, size = GREETING.unpack(head)
    return Greeting(protocol, stream.read(size).decode("ascii", "replace"))


def write(stream: IO[bytes], message: Message) -> None:
    """Write one message and flush."""
    body = _encoder.encode(message)
    stream.write(HEADER.pack(len(body), zlib.crc32(body)) + body)
    stream.flush()


def _bodies(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of each message.  Raises ValueError for a broken stream."""
    while header := stream.read(HEADER.size):
        if len(header) < HEADER.size:
            return
        size, checksum = HEADER.unpack(header)
        if size > LARGEST:
            raise ValueError("the stream is not a sequence of messages")
        body = stream.read(size)
        if len(body) < size:
            return
        if zlib.crc32(body) != checksum:
            raise ValueError("a message was damaged in transit")
        yield body


def commands(stream: IO[bytes]) -> Iterator[Command]:
    """Yield the terminal's messages until the stream ends.  Raises ValueError for an invalid one."""
    for body in _bodies(stream):
        yield _decode(_commands, body)


def events(stream: IO[bytes]) -> Iterator[Event]:
    """Yield the engine's messages until the stream ends.  Raises ValueError for an invalid one."""
    for body in _bodies(stream):
        yield _decode(_events, body)


def _decode(decoder: msgspec.msgpack.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except DAMAGED as error:
        raise ValueError(f"cannot decode a message: {error}") from error
