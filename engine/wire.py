"""The messages between terminal and engine, and their bytes.

The engine greets first: `MAGIC`, the protocol and its version, after whatever a login shell or a launcher has
printed.  Then both sides send msgpack, each message behind its length and its checksum, validated on arrival.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.debug import findings
from engine.records import (
    Branch,
    Check,
    Edit,
    Frame,
    Knob,
    ModelChoice,
    ModelInfo,
    RunChoice,
    Settings,
    StrategyInfo,
)

PROTOCOL = 3
MAGIC = b"remdm\x00"
NOISE = 1 << 16
"""Bytes that may come before the greeting at most."""
LARGEST = 1 << 28
"""Bytes; nothing sent is near it, so a longer length is a broken stream."""
HEADER = struct.Struct("<II")
"""length and CRC-32 of a message's bytes"""
GREETING = struct.Struct("<HB")
"""protocol, and length of the version's text"""


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
    """Load a model; the one before goes first, whether or not this one can be had."""

    choice: ModelChoice


class Begin(Message, frozen=True):
    """Start run number `run`; frames of earlier runs stop.

    The steps before `at` are computed again without their frames, each under the settings recorded for it: `past`
    holds (step, settings from there on), `edits` the frames that are a person's.  `settings` decide step `at` and
    those after it.  `branch`: the number of the branch whose record is gone on with.
    """

    run: int
    settings: SettingsData
    choice: RunChoice
    at: int = 0
    past: tuple[tuple[int, SettingsData], ...] = ()
    edits: tuple[tuple[int, Edit], ...] = ()
    branch: int = 0


class Configure(Message, frozen=True):
    """Settings from the next step on."""

    settings: SettingsData


class Credit(Message, frozen=True):
    """Permission for `steps` more steps; a negative number takes so much of what is left back.

    What was sent before the terminal knew of the engine's last stop, of number `stop`, is not heeded.
    """

    steps: int
    stop: int = 0


class Inspect(Message, frozen=True):
    """Measure how well the model knows a short text."""


class Fork(Message, frozen=True):
    """Begin a branch and go on in it; without settings it replays what its parent has recorded.  Credit is void."""

    branch: Branch
    settings: SettingsData | None = None


class Switch(Message, frozen=True):
    """Go on in another branch of the run, where it was left.  Credit is void."""

    branch: int


class Alter(Message, frozen=True):
    """Change the canvas by hand where the branch stands; answered by the edit's frame."""

    edit: Edit


class Break(Message, frozen=True):
    """Stop at a condition, as a person types it, in one sample or in any; it takes the place of the same number."""

    number: int
    text: str
    sample: int | None = None


class Clear(Message, frozen=True):
    """Forget a breakpoint, or all."""

    number: int | None = None


class Look(Message, frozen=True):
    """Ask for the network's `top` tokens at one position, after `step` steps of the branch (None: now)."""

    sample: int
    position: int
    step: int | None = None
    top: int = 20


class UseFile(Message, frozen=True):
    """Load a strategy from a Python file of the engine's machine, and again whenever it changes; "": no more."""

    path: str


class Quit(Message, frozen=True):
    """Exit; so does the end of the stream."""


# engine -> terminal


class Hello(Message, frozen=True):
    """`problems`: strategies of installed packages that cannot be had, a sentence each."""

    strategies: tuple[StrategyInfo, ...]
    problems: tuple[str, ...] = ()


class Loading(Message, frozen=True):
    """A model is on its way: bytes so far and in all, 0 where unknown."""

    stage: str
    done: int = 0
    total: int = 0


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
    block: int = 0
    branch: int = 0
    edit: Edit | None = None

    @classmethod
    def of(cls, run: int, frame: Frame, branch: int = 0) -> Stepped:
        return cls(
            run,
            frame.index,
            (frame.t, frame.s, frame.alpha_t, frame.alpha_s),
            tuple(Array.of(a) for a in (frame.tokens, frame.change, frame.held, frame.unmask, frame.remask)),  # type: ignore[arg-type]
            frame.network_calls,
            SettingsData.of(frame.settings),
            frame.excess,
            frame.final,
            frame.block,
            branch,
            frame.edit,
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
            self.block, self.edit,
        )  # fmt: skip


class Replaying(Message, frozen=True):
    """Steps before `Begin.at` computed again so far, of how many."""

    run: int
    done: int
    total: int


class Resumed(Message, frozen=True):
    """A run stands at `Begin.at`, with these tokens; frames follow."""

    run: int
    tokens: Array


class Checked(Message, frozen=True):
    """The answer to `Inspect`."""

    check: Check


class Finished(Message, frozen=True):
    """The branch has no further step."""

    run: int
    branch: int = 0


class Stands(Message, frozen=True):
    """The answer to `Fork` and `Switch`: the engine stands in this branch, after so many steps."""

    run: int
    branch: int
    step: int


class Stopped(Message, frozen=True):
    """Breakpoints were hit by the frame before; no step is taken until credit comes that knows of this stop."""

    run: int
    branch: int
    stop: int
    hits: tuple[findings.Hit, ...]


class Broken(Message, frozen=True):
    """The frame before has broken a law; the run goes on."""

    run: int
    branch: int
    violation: findings.Violation


class Looked(Message, frozen=True):
    """The answer to `Look`."""

    run: int
    branch: int
    opinion: findings.Opinion


class FileLoaded(Message, frozen=True):
    """A strategy's file was loaded; if the branch runs by it, the next step is the new one's."""

    path: str
    digest: str
    """SHA-256 of the file"""
    strategy: StrategyInfo


class StrategyFailed(Message, frozen=True):
    """A strategy of a file or a package is wrong; the branch stays where it was, as after `Stopped`.

    `detail` is the traceback within the strategy's own file; `step` of the branch could not be taken, -1: the file
    could not be loaded, and what it defined last stays.
    """

    run: int
    branch: int
    stop: int
    step: int
    reason: str
    detail: str


class Rejected(Message, frozen=True):
    """A command was refused and changed nothing."""

    reason: str
    command: str = ""
    """its name"""


class Failed(Message, frozen=True):
    """Something went wrong; `detail` is the traceback.  `stage` says what was being done."""

    stage: Literal["load", "begin", "step", "check", "debug"]
    reason: str
    detail: str


Command = (
    Open | Begin | Configure | Credit | Inspect | Fork | Switch | Alter | Break | Clear | Look | UseFile | Quit
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
