"""The messages between terminal and engine, and their bytes: length-prefixed msgpack, validated on arrival."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import IO, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.records import Frame, Knob, ModelInfo, Settings, StrategyInfo

PROTOCOL = 1
LARGEST = 1 << 28
"""Bytes; nothing sent is near it, so a longer length is a broken stream."""


class Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages; the tag is the class name."""


class SettingsData(msgspec.Struct, frozen=True):
    strategy: str
    knobs: dict[str, Knob]
    top_p: float
    nucleus: str
    temperature: float
    draw: str

    @classmethod
    def of(cls, settings: Settings) -> SettingsData:
        return cls(
            settings.strategy, dict(settings.knobs), settings.top_p, settings.nucleus,
            settings.temperature, settings.draw,
        )  # fmt: skip

    def settings(self) -> Settings:
        return Settings(**msgspec.structs.asdict(self))


# terminal -> engine


class Open(Message, frozen=True):
    """Load a model and stand at the start of a run."""

    model: str
    device: str
    dtype: str


class Begin(Message, frozen=True):
    """Start run number `run` from step 0; frames of earlier runs stop."""

    run: int
    settings: SettingsData
    steps: int
    length: int
    batch: int
    seed: int
    prompt: str


class Configure(Message, frozen=True):
    """Settings from the next step on."""

    settings: SettingsData


class Credit(Message, frozen=True):
    """Permission for `steps` more steps; a negative number takes so much of what is left back."""

    steps: int


class Quit(Message, frozen=True):
    """Exit; so does the end of the stream."""


# engine -> terminal


class Hello(Message, frozen=True):
    protocol: int
    version: str
    strategies: tuple[StrategyInfo, ...]


class Loading(Message, frozen=True):
    stage: str


class Ready(Message, frozen=True):
    model: ModelInfo


class Array(msgspec.Struct, frozen=True):
    """An array [*shape]; an axis along which it is constant is sent once."""

    dtype: Literal["<i4", "|u1", "<f4", "|b1"]
    shape: tuple[int, ...]
    sent: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Array:
        core = array[
            tuple(slice(0, 1) if s == 0 and n > 1 else slice(None) for s, n in zip(array.strides, array.shape))
        ]
        return cls(array.dtype.str, array.shape, core.shape, np.ascontiguousarray(core).tobytes())  # type: ignore[arg-type]

    def array(self) -> NDArray[Any]:
        """Raises ValueError where sizes contradict each other."""
        if math.prod(self.sent) * np.dtype(self.dtype).itemsize != len(self.data) or math.prod(self.shape) > LARGEST:
            raise ValueError("an array of the stream has the wrong size")
        return np.broadcast_to(np.frombuffer(self.data, self.dtype).reshape(self.sent), self.shape)


class Began(Message, frozen=True):
    """The canvas before step 0 of a run."""

    run: int
    tokens: Array
    locked: Array
    steps: int
    seed: int


class Stepped(Message, frozen=True):
    """One frame of a run; `times` are t, s, alpha_t, alpha_s, `arrays` tokens, change, held, unmask, remask."""

    run: int
    index: int
    times: tuple[float, float, float, float]
    arrays: tuple[Array, Array, Array, Array, Array]
    network_calls: int
    settings: SettingsData
    excess: float
    final: bool

    @classmethod
    def of(cls, run: int, frame: Frame) -> Stepped:
        return cls(
            run,
            frame.index,
            (frame.t, frame.s, frame.alpha_t, frame.alpha_s),
            tuple(Array.of(a) for a in (frame.tokens, frame.change, frame.held, frame.unmask, frame.remask)),  # type: ignore[arg-type]
            frame.network_calls,
            SettingsData.of(frame.settings),
            frame.excess,
            frame.final,
        )

    def frame(self) -> Frame:
        tokens, change, held, unmask, remask = (a.array() for a in self.arrays)
        if not tokens.ndim == 2 or any(a.shape != tokens.shape for a in (change, held, unmask, remask)):
            raise ValueError("the arrays of a frame differ in shape")
        if [a.dtype for a in self.arrays] != ["<i4", "|u1", "<f4", "<f4", "<f4"]:
            raise ValueError("an array of a frame has the wrong type")
        return Frame(
            self.index, *self.times, tokens, change, held, unmask, remask,
            self.network_calls, self.settings.settings(), self.excess, self.final,
        )  # fmt: skip


class Finished(Message, frozen=True):
    """The run has no further step."""

    run: int


class Rejected(Message, frozen=True):
    """A command was refused and changed nothing."""

    reason: str


class Failed(Message, frozen=True):
    """Something went wrong; `detail` is the traceback.  `stage` says what was being done."""

    stage: Literal["load", "begin", "step"]
    reason: str
    detail: str


Command = Open | Begin | Configure | Credit | Quit
Event = Hello | Loading | Ready | Began | Stepped | Finished | Rejected | Failed

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


def write(stream: IO[bytes], message: Message) -> None:
    """One message, flushed."""
    body = _encoder.encode(message)
    stream.write(struct.pack("<I", len(body)) + body)
    stream.flush()


def _bodies(stream: IO[bytes]) -> Iterator[bytes]:
    while header := stream.read(4):
        if len(header) < 4:
            return
        (size,) = struct.unpack("<I", header)
        if size > LARGEST:
            raise ValueError("the stream from the other side is not one of messages")
        body = stream.read(size)
        if len(body) < size:
            return
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
