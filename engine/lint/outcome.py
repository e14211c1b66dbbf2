"""What a check has measured, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class Unsettled(msgspec.Struct, frozen=True):
    """A position that changed again and again."""

    sample: int
    position: int
    times: int
    """how often its token was remasked or replaced"""
    returns: int
    """how often it then got the token back that it had lost"""
    story: str
    """its changes in order: step, token and the probability that the token had"""


@dataclass(frozen=True)
class CheckFigure:
    """A figure, and what it means in a sentence without its full stop."""

    figure: float
    found: bool
    message: str
    threshold: float | None = None
    """where it depends on the run; None: that of the check"""
    positions: tuple[Unsettled, ...] = ()


class CheckResult(msgspec.Struct, frozen=True):
    """The outcome of one check on one subject."""

    check: str
    subject: str
    """the run, branch or evaluation"""
    figure: float
    threshold: float
    found: bool
    """whether the figure is on the wrong side of the threshold"""
    message: str
    advice: str
    positions: tuple[Unsettled, ...] = ()
