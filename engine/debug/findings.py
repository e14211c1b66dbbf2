"""The debugger's findings: plain data, the same on both sides of the wire."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from engine.records import Change


class Hit(msgspec.Struct, frozen=True, rename={"message": "said"}):
    """A breakpoint whose condition became true."""

    breakpoint: int
    text: str
    """the condition as it is typed"""
    message: str
    """the condition as a sentence"""
    step: int
    """steps taken, so the position in the record"""
    samples: tuple[int, ...]
    """samples in which it did"""
    positions: tuple[int, ...] = ()
    """of the first of these samples, where it names positions"""


class Violation(msgspec.Struct, frozen=True, rename={"message": "said"}):
    """A law that a step has broken."""

    law: str
    step: int
    """steps taken, so the position in the record"""
    formula: str
    message: str
    """what was found, as a sentence"""
    numbers: tuple[tuple[str, float], ...]
    """the formula's quantities"""


class Drafts(msgspec.Struct, frozen=True):
    """The network's first choice at every masked position of a sample, for one sequence put through it."""

    step: int
    """steps taken, so the position in the record"""
    sample: int
    positions: tuple[int, ...]
    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]
    entropies: tuple[float, ...]
    """of the predictions, in nats"""


@dataclass(frozen=True)
class Moment:
    """A step in which one position changed, and why."""

    step: int
    """steps taken, so the position in the record"""
    t: float
    s: float
    change: Change
    token: int
    """the one revealed or put, or the one lost"""
    held: float
    """the probability that the token had when it was revealed; nan where it is not known"""
    chance: float
    """probability of the change; nan where nothing was drawn: a clean-up or an edit"""
    share: float
    """chance over the sum of such chances in the sample, under remdm-conf its softmax; nan without a draw"""
    drawn: float
    """the uniform that fell below `chance`; nan without a draw"""
    why: str
    """the reason as a sentence"""


@dataclass(frozen=True)
class Story:
    """All changes of one position."""

    sample: int
    position: int
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Ranked:
    """One token of the network's prediction."""

    token: int
    probability: float
    """after the temperature, before the nucleus"""
    kept: bool
    """whether the nucleus keeps it"""


@dataclass(frozen=True)
class Verdict:
    """What a strategy would do at the present step: the running one with its own knobs, others with their defaults."""

    strategy: str
    unmask: float
    remask: float
    """0 where the position is masked, as unmask is where it is revealed"""
    problem: str = ""
    """why there is no verdict; else empty"""


@dataclass(frozen=True)
class TokenPrediction:
    """The network's prediction of one position of a state."""

    step: int
    """steps taken before"""
    sample: int
    position: int
    token: int
    masked: bool
    """whether the position is masked; if not, the network was shown one"""
    top: tuple[Ranked, ...]
    """most probable first"""
    nucleus: int
    """how many tokens the nucleus keeps"""
    entropy: float
    """nats, before the nucleus"""
    own: float
    """probability of the position's token; nan where masked"""
    verdicts: tuple[Verdict, ...]
