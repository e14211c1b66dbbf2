"""The messages between terminal and engine, and their bytes.

The engine greets first: `MAGIC`, the protocol and its version, after whatever a login shell or a launcher has
printed.  Then both sides send msgpack, each message behind its length and its checksum, validated on arrival.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import msgspec

from engine.debug.messages import (
    Alter,
    Break,
    Broken,
    Clear,
    FileLoaded,
    Fork,
    Look,
    Looked,
    Stands,
    Stopped,
    StrategyFailed,
    Switch,
    Together,
    UseFile,
)
from engine.messages import (
    LARGEST,
    Array,
    Began,
    Begin,
    Checked,
    Configure,
    Credit,
    Failed,
    Finished,
    Hello,
    Inspect,
    Loading,
    Message,
    Open,
    Quit,
    Ready,
    Rejected,
    Replaying,
    Resumed,
    SettingsData,
    Stepped,
)

__all__ = [
    "GREETING",
    "HEADER",
    "LARGEST",
    "MAGIC",
    "NOISE",
    "PROTOCOL",
    "Alter",
    "Array",
    "Began",
    "Begin",
    "Break",
    "Broken",
    "Checked",
    "Clear",
    "Command",
    "Configure",
    "Credit",
    "Event",
    "Failed",
    "FileLoaded",
    "Finished",
    "Fork",
    "Greeting",
    "Hello",
    "Inspect",
    "Loading",
    "Look",
    "Looked",
    "Message",
    "Open",
    "Quit",
    "Ready",
    "Rejected",
    "Replaying",
    "Resumed",
    "SettingsData",
    "Stands",
    "Stepped",
    "Stopped",
    "StrategyFailed",
    "Switch",
    "Together",
    "UseFile",
    "commands",
    "events",
    "greet",
    "greeted",
    "write",
]

PROTOCOL = 4
MAGIC = b"remdm\x00"
NOISE = 1 << 16
"""Bytes that may come before the greeting at most."""
HEADER = struct.Struct("<II")
"""length and CRC-32 of a message's bytes"""
GREETING = struct.Struct("<HB")
"""protocol, and length of the version's text"""

Command = (
    Open | Begin | Configure | Credit | Inspect | Fork | Switch | Together | Alter | Break | Clear | Look | UseFile
    | Quit
)  # fmt: skip
Event = (
    Hello | Loading | Ready | Began | Replaying | Resumed | Stepped | Checked | Finished | Stands | Stopped | Broken
    | Looked | FileLoaded | StrategyFailed | Rejected | Failed
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


class Greeting(NamedTuple):
    """What the other side speaks, and of which version it is."""

    protocol: int
    version: str


def greet(stream: IO[bytes], version: str, protocol: int = PROTOCOL) -> None:
    """The engine's first bytes."""
    text = version.encode("ascii")
    stream.write(MAGIC + GREETING.pack(protocol, len(text)) + text)
    stream.flush()


def greeted(stream: IO[bytes]) -> Greeting:
    """The greeting, after at most `NOISE` bytes of anything else; raises ValueError with the noise if none comes."""
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
    """One message, flushed."""
    body = _encoder.encode(message)
    stream.write(HEADER.pack(len(body), zlib.crc32(body)) + body)
    stream.flush()


def _bodies(stream: IO[bytes]) -> Iterator[bytes]:
    while header := stream.read(HEADER.size):
        if len(header) < HEADER.size:
            return
        size, checksum = HEADER.unpack(header)
        if size > LARGEST:
            raise ValueError("the stream from the other side is not one of messages")
        body = stream.read(size)
        if len(body) < size:
            return
        if zlib.crc32(body) != checksum:
            raise ValueError("a message of the other side was damaged on its way")
        yield body


def commands(stream: IO[bytes]) -> Iterator[Command]:
    """Messages until the end of the stream; raises ValueError for bytes that are none."""
    for body in _bodies(stream):
        yield _decode(_commands, body)


def events(stream: IO[bytes]) -> Iterator[Event]:
    """Messages until the end of the stream; raises ValueError for bytes that are none."""
    for body in _bodies(stream):
        yield _decode(_events, body)


def _decode(decoder: msgspec.msgpack.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"a message of the other side cannot be read: {error}") from error
