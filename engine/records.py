"""What the engine sends and receives: plain data, numpy only, the same on both sides of the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Knob = float | int | str | bool
"""The value of one field of a strategy."""


class Change(IntEnum):
    """The effect of one step on one position."""

    MASKED = 0
    """was masked and still is"""
    HELD = 1
    """was revealed and still is"""
    REVEALED = 2
    """was masked, now holds a token"""
    REMASKED = 3
    """held a token, is masked again"""
    LOCKED = 4
    """is in the prompt or was locked by hand: no sampler touches it"""
    EDITED = 5
    """held a token, now holds another that the strategy put in its place"""


PUT = (Change.REVEALED, Change.EDITED)
"""The changes after which a position holds a token that it did not hold before."""


UNCHANGED = np.array([Change.MASKED, Change.HELD, Change.HELD, Change.MASKED, Change.LOCKED, Change.HELD], np.uint8)
"""The `Change` at a position that a step leaves alone, by the change there in the step before."""


UNKNOWN_DRAW = "unknown"
"""The draw of an imported trace: no flip of ours decided it, and its plans are what happened."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides a step besides the model, the state and the seed."""

    strategy: str
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    top_p: float = 0.9
    nucleus: str = "exclusive"
    temperature: float = 1.0
    draw: str = "inverse-cdf"
    cfg: float = 0.0
    eos_bias: float = 0.0
    eos_confidence: str = "kept"

    def __post_init__(self) -> None:
        object.__setattr__(self, "knobs", MappingProxyType(dict(self.knobs)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.strategy, dict(self.knobs), self.top_p, self.nucleus, self.temperature, self.draw, self.cfg,
            self.eos_bias, self.eos_confidence,
        )  # fmt: skip

    def checked(self) -> Settings:
        """Return these settings with every shared one in range; raises ValueError with what would be valid."""
        shared: dict[str, Any] = {info.name: info.check(getattr(self, info.name)) for info in (*SAMPLING, *GUIDANCE)}
        return replace(self, **shared)


@dataclass(frozen=True)
class Edit:
    """A change of the canvas by hand between two steps; in the record it is a frame of its own."""

    kind: Literal["mask", "force", "lock", "unlock", "prompt"]
    """mask again, put a token, keep from the sampler, give back to it, or begin with another prompt"""
    sample: int | None = None
    """row of the batch; None: all"""
    position: int = 0
    tokens: tuple[int, ...] = ()
    """the token to put, or the prompt's tokens; else empty"""
    held: float = 1.0
    """the probability that a token put counts as having had when it was revealed"""


@dataclass(frozen=True)
class Branch:
    """A course of a run: its first `at` frames are its parent's; the run's first has no parent."""

    id: int
    parent: int | None = None
    at: int = 0


@dataclass(frozen=True, eq=False)
class Frame:
    """One step of B trajectories of L tokens, from t down to s.

    Arrays are [B, L] and read-only.  `held` is the probability each token had when it was revealed
    (after the nucleus, renormalised; 1 for the prompt; nan where masked).  `unmask` and `remask` are
    the plan's probabilities after clamping to [0, 1], whatever the position's state; the one that
    applied is `unmask` where a position was masked before the step and `remask` where it was revealed.
    """

    index: int
    """number of the step, from 0"""
    t: float
    s: float
    alpha_t: float
    alpha_s: float
    tokens: NDArray[np.int32]
    """after the step"""
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    unmask: NDArray[np.float32]
    remask: NDArray[np.float32]
    network_calls: int
    """sequences put through the network since step 0, summed over the batch"""
    settings: Settings
    excess: float = 0.0
    """how far the plan left [0, 1] before it was clamped; 0 for a valid plan"""
    final: bool = False
    """the clean-up after a block's last step, in which every mask left in it becomes the argmax"""
    block: int = 0
    """number of the block that the step worked in, from 0; t, s and both alphas are its own"""
    edit: Edit | None = None
    """what a person did, where the frame is that and no step of the sampler; then s is t"""
    edit_plan: NDArray[np.float32] | None = None
    """the plan's probability of an edit, like `remask`; None where the strategy edits nothing"""

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Return [B, L]: the masked positions after the step."""
        return (self.change == Change.MASKED) | (self.change == Change.REMASKED)

    def count(self, change: Change, sample: int | None = None) -> int:
        """Return how many positions underwent `change`, in one sample or in all."""
        rows = self.change if sample is None else self.change[sample]
        return int(np.count_nonzero(rows == change))


@dataclass(frozen=True)
class KnobInfo:
    """One knob of a strategy: a number in [low, high], or a word out of `choices`."""

    name: str
    default: Knob
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    """words; one that begins with * stands for every text that ends so"""
    needs: tuple[str, str] | None = None
    """(other knob, value): where this one has any effect; a|b means either value"""
    scale: Literal["linear", "log"] = "linear"
    """how a slider spreads the range"""

    def check(self, value: Knob) -> Knob:
        """Return the value in the knob's own type; raises ValueError with what would be valid."""
        if self.choices:
            if not any(_matches(value, choice) for choice in self.choices):
                raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}")
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} must be a number, not {value!r}") from None
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= number <= high:
            raise ValueError(f"{self.name} must lie in {low:g} to {high:g}, not {value}")
        return type(self.default)(number)


def _matches(value: Knob, choice: str) -> bool:
    if not choice.startswith("*"):
        return value == choice
    return isinstance(value, str) and value.endswith(choice[1:]) and not value.startswith("*")


SAMPLING = (
    KnobInfo("top_p", 0.9, "nucleus: the smallest probability mass drawn from; 1 is off", 0.01, 1.0),
    KnobInfo("temperature", 1.0, "logits are divided by it; 0 takes the argmax", 0.0, 10.0),
    KnobInfo(
        "nucleus",
        "exclusive",
        "the token that crosses p: excluded (ReMDM's code) or included (Hugging Face)",
        choices=("exclusive", "inclusive"),
    ),
    KnobInfo(
        "draw",
        "inverse-cdf",
        "how a token is drawn; gumbel-float32 is the field's faulty one",
        choices=("inverse-cdf", "gumbel-float64", "gumbel-float32"),
    ),
)
"""The settings that every strategy shares, declared like knobs."""
GUIDANCE = (
    KnobInfo(
        "cfg",
        0.0,
        "classifier-free guidance w: logits become l_u + (w + 1)(l - l_u), l_u those of the prompt masked; 0 is off",
        0.0,
        100.0,
    ),
    KnobInfo("eos_bias", 0.0, "added to the logits of end-of-text tokens; -1000 forbids them", -1000.0, 1000.0),
    KnobInfo(
        "eos_confidence",
        "kept",
        "confidence of end-of-text tokens: kept, excluded (0: they come last), or LLaDA's code, where others' rise too",
        choices=("kept", "excluded", "as-published"),
    ),
)
"""LLaDA's further settings, which every strategy shares too."""
SHARED_KNOBS = (*SAMPLING, *GUIDANCE)
"""Both: every setting but the strategy and its knobs."""
SHARED = tuple(info.name for info in SHARED_KNOBS)
"""Their names."""


@dataclass(frozen=True)
class StrategyInfo:
    """A strategy as a list shows it and a knob panel offers it."""

    name: str
    summary: str
    source: str
    reads: tuple[str, ...]
    """names of `engine.strategies.base.READS`; empty: time and state alone"""
    knobs: tuple[KnobInfo, ...]
    preserves_marginal: bool = True
    """whether it claims that 1 - alpha of the positions are masked, but for chance"""
    leaves_range: str = ""
    """the formula by which its plan leaves [0, 1] at the last step; empty: it does not"""
    edits: bool = False
    """whether it puts other tokens in the place of revealed ones"""


@dataclass(frozen=True)
class GridLayout:
    """How a model's positions lie in a grid, row by row; a box has `box_rows` x `box_columns` cells."""

    rows: int
    columns: int
    box_rows: int
    box_columns: int

    @property
    def cells(self) -> int:
        return self.rows * self.columns

    @property
    def boxes(self) -> NDArray[np.int64]:
        """Return the number of each cell's box, [rows, columns]."""
        down, across = np.arange(self.rows) // self.box_rows, np.arange(self.columns) // self.box_columns
        return down[:, None] * -(-self.columns // self.box_columns) + across


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model as the terminal needs it; `pieces[i]` is the text of token i."""

    name: str
    parameters: int
    dtype: str
    device: str
    vocab_size: int
    mask_id: int
    max_length: int | None
    time_conditioned: bool
    pieces: tuple[str, ...]
    backend: str = ""
    """attention kernel"""
    kind: str = ""
    """MDLM, SEDD, AR, LLaDA, BertForMaskedLM ..."""
    causal: bool = False
    """whether it predicts from the left alone, so that only left-to-right means anything"""
    notes: tuple[str, ...] = ()
    """remarks on how it was loaded"""
    fragments: Mapping[int, bytes] = field(default_factory=dict, hash=False)
    """bytes of the tokens that hold a part of a character"""
    fingerprint: str = ""
    """of the whole content of its files and its tokenizer's; empty if unknown"""

    def differs(self, other: ModelInfo) -> bool:
        """Return whether it is known that the two are not the same network and tokenizer."""
        return bool(self.fingerprint and other.fingerprint) and self.fingerprint != other.fingerprint


HOW_TO_CONSENT = "add --trust-remote-code to this command if you trust whoever published it"
"""What a refusal to run a checkpoint's own code ends with; on a page, no command is in sight."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model to load and how; what a checkpoint says of itself is left None."""

    name: str = "demo"
    """a built-in, a directory or file, or a repository of the Hugging Face hub"""
    device: str = "auto"
    dtype: str = "auto"
    ema: bool = True
    """averaged weights where a checkpoint has both"""
    attention: str = "auto"
    mask_id: int | None = None
    tokenizer: str | None = None
    trust_remote_code: bool = False
    """consent to run the checkpoint's own code: given on the command line or at the terminal, never by a file"""

    def without_consent(self) -> ModelChoice:
        """Return the choice as it may be taken from a file: what a sender trusted is not for the sender to decide."""
        return replace(self, trust_remote_code=False)


@dataclass(frozen=True)
class RunChoice:
    """The arguments of a run besides its model and settings."""

    steps: int | None
    """None: one for each position to fill"""
    length: int
    batch: int = 1
    seed: int = 0
    prompt: str = ""
    chat: bool = False
    """whether the prompt is put into the model's chat template"""
    block_length: int | None = None
    """positions of a semi-autoregressive block; None: the whole canvas is one"""
    stride: int | None = None
    """by how many positions a window of `length` slides on; None: it stays"""
    strides: int = 0
    """how often it does, each time in steps of its own"""
    first: int = 0
    """number of the first sample"""
    infill: bool = False
    """whether masks written in the prompt are filled; else they are letters, as they once were"""

    @property
    def canvas(self) -> int:
        """Return positions in all."""
        return self.length + (self.stride or 0) * self.strides

    def steps_after(self, fixed: int) -> int:
        """Return steps of the run when the prompt fixes so many positions."""
        return max(1, self.length - fixed) if self.steps is None else self.steps


@dataclass(frozen=True)
class Check:
    """A model's loss on a short text, in nats a token; `chance` is the loss of a uniform guess."""

    loss: float
    chance: float
    tokens: int
    """of the text"""

    @property
    def garbled(self) -> bool:
        """Return whether the model knows little more than which tokens are common, as one with shuffled weights
        does.
        """
        return not self.loss < 0.85 * self.chance

    def __str__(self) -> str:
        known = f"loss {self.loss:.1f} nats a token (chance is {self.chance:.1f})"
        return f"{known}: hardly better than chance, so weights or tokenizer may be wrong" if self.garbled else known
