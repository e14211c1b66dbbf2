"""The messages of a run between terminal and engine; those of the debugger are in `engine.debug.messages`."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.records import Edit, Frame, Knob, ModelCheck, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo

LARGEST = 1 << 28
"""Bytes or values; no message comes near it, so a larger length means a broken stream."""


class Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages; the tag is the class name."""


class SettingsData(msgspec.Struct, frozen=True):
    """`Settings` as they are sent."""

    strategy: str
    knobs: dict[str, Knob]
    top_p: float
    nucleus: str
    temperature: float
    draw: str
    cfg: float = 0.0
    eos_bias: float = 0.0
    eos_confidence: str = "kept"

    @classmethod
    def of(cls, settings: Settings) -> SettingsData:
        """Return settings as they are sent."""
        return cls(
            settings.strategy, dict(settings.knobs), settings.top_p, settings.nucleus,
            settings.temperature, settings.draw, settings.cfg, settings.eos_bias, settings.eos_confidence,
        )  # fmt: skip

    def settings(self) -> Settings:
        """Return the settings that were sent."""
        return Settings(**msgspec.structs.asdict(self))


# terminal -> engine


class Open(Message, frozen=True):
    """Load a model; the previous one is dropped first, even if this one cannot be loaded."""

    choice: ModelChoice


class Begin(Message, frozen=True):
    """Start run number `run`, and send no more frames of earlier runs.

    Recompute the steps before `at` without sending their frames, each under its recorded settings: `past` holds (step,
    settings from that step on), `edits` the (index, edit) of frames that are edits.  `settings` apply from step `at`
    on.  `branch` is the number of the branch to continue.
    """

    run: int
    settings: SettingsData
    choice: RunChoice
    at: int = 0
    past: tuple[tuple[int, SettingsData], ...] = ()
    edits: tuple[tuple[int, Edit], ...] = ()
    branch: int = 0


class Configure(Message, frozen=True):
    """Use these settings from the next step on."""

    settings: SettingsData


class Credit(Message, frozen=True):
    """Allow `steps` more steps; a negative number revokes as many of those left.

    `stop` is the number of the engine's last stop that the terminal knows of; older credit is ignored.
    """

    steps: int
    stop: int = 0


class CheckModel(Message, frozen=True, tag="Inspect"):  # its name in protocol 7
    """Measure the model's loss on a short text; answered by `Checked`."""


class Quit(Message, frozen=True):
    """Exit; so does the end of the stream."""


# engine -> terminal


class Hello(Message, frozen=True):
    """The engine's strategies; `problems`: why others of installed packages cannot be used, a sentence each."""

    strategies: tuple[StrategyInfo, ...]
    problems: tuple[str, ...] = ()


class Loading(Message, frozen=True):
    """Progress of loading a model: bytes so far and in total, 0 if unknown."""

    stage: str
    done: int = 0
    total: int = 0


class Ready(Message, frozen=True):
    """The model is loaded."""

    model: ModelInfo


class Array(msgspec.Struct, frozen=True):
    """An array [*shape]; an axis along which it is constant is sent once."""

    dtype: Literal["<i4", "|u1", "<f4", "|b1"]
    shape: tuple[int, ...]
    sent: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Array:
        """Return an array as it is sent."""
        core = array[
            tuple(slice(0, 1) if s == 0 and n > 1 else slice(None) for s, n in zip(array.strides, array.shape))
        ]
        return cls(array.dtype.str, array.shape, core.shape, np.ascontiguousarray(core).tobytes())  # type: ignore[arg-type]

    def array(self) -> NDArray[Any]:
        """Return the array that was sent.  Raises ValueError if its sizes contradict each other."""
        if math.prod(self.sent) * np.dtype(self.dtype).itemsize != len(self.data) or math.prod(self.shape) > LARGEST:
            raise ValueError("an array was sent with the wrong size")
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
    edit_plan: Array | None = None

    @classmethod
    def of(cls, run: int, frame: Frame, branch: int = 0) -> Stepped:
        """Return a frame as it is sent."""
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
            None if frame.edit_plan is None else Array.of(frame.edit_plan),
        )

    def frame(self) -> Frame:
        """Return the frame that was sent.  Raises ValueError if its arrays contradict each other."""
        tokens, change, held, unmask, remask = (a.array() for a in self.arrays)
        if not tokens.ndim == 2 or any(a.shape != tokens.shape for a in (change, held, unmask, remask)):
            raise ValueError("the arrays of a frame differ in shape")
        if [a.dtype for a in self.arrays] != ["<i4", "|u1", "<f4", "<f4", "<f4"]:
            raise ValueError("an array of a frame has the wrong type")
        edits = None if self.edit_plan is None else self.edit_plan.array()
        if edits is not None and (edits.shape != tokens.shape or edits.dtype != np.float32):
            raise ValueError("the edits of a frame have another shape or type than its plan")
        return Frame(
            self.index, *self.times, tokens, change, held, unmask, remask,
            self.network_calls, self.settings.settings(), self.excess, self.final,
            self.block, self.edit, edits,
        )  # fmt: skip


class Replaying(Message, frozen=True):
    """Progress of recomputing the steps before the `at` of `Begin` or `Fork`."""

    run: int
    done: int
    total: int


class Resumed(Message, frozen=True):
    """The run has reached the `at` of `Begin` or `Fork`, with these tokens; frames follow."""

    run: int
    tokens: Array


class Checked(Message, frozen=True):
    """The answer to `CheckModel`."""

    check: ModelCheck


class Finished(Message, frozen=True):
    """The branch has no next step."""

    run: int
    branch: int = 0


class Rejected(Message, frozen=True):
    """A command was refused and changed nothing; `command` is its name."""

    reason: str
    command: str = ""


class Failed(Message, frozen=True):
    """An operation failed, in stage `stage`; `detail` is the traceback."""

    stage: Literal["load", "begin", "step", "check", "debug"]
    reason: str
    detail: str


RunCommand = Open | Begin | Configure | Credit | CheckModel
RunEvent = Hello | Loading | Ready | Began | Replaying | Resumed | Stepped | Checked | Finished
"""What runs need; `Quit`, `Rejected` and `Failed` concern the debugger as well."""
