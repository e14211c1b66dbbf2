"""The base of strategies: frozen dataclasses of knobs whose plan gives each position's unmask and remask.

Strategies use tensors by their methods alone, so listing them does not import torch.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from engine.records import Knob, KnobInfo, StrategyInfo
from engine.strategies.schedules import linear_alpha, uniform_grid
from engine.strategies.words import OFFLINE, OLDER_READS

if TYPE_CHECKING:
    from torch import Tensor


SLACK = 1e-9
"""Tolerance for a quota that is whole but for rounding."""


class Prediction(NamedTuple):
    """The network's view of the state before the step, [B, L] each; NaN (ids: -1) where the plan does not read it.

    Probabilities are those at temperature 1, before the nucleus and float64; the mask has none (SUBS).  With `tempered`
    all but `current` are those of the distribution that tokens are drawn from, at temperature 0 the nucleus of 1.  With
    `noised` the confidence is by the softmax of its log p + Gumbel, whose argmax is the draw, without at temperature 0.
    With `verified` all values at a revealed position are those of a network that sees a mask there.
    """

    ids: Tensor
    """token drawn under the run's settings at masked positions; the argmax at revealed ones unless `drawn` is read"""
    confidence: Tensor
    """probability of `ids`"""
    current: Tensor
    """probability of the committed token, with `verified` as if it were not known; NaN at masked positions"""
    top: Tensor
    """the most probable token"""
    top_p: Tensor
    """probability of `top`"""
    margin: Tensor
    """`top_p` less the probability of the second token"""
    entropy: Tensor
    """in nats"""
    divergence: Tensor
    """KL(p_t || p of the last step), in nats; infinite before there is one (KLASS, arXiv 2511.05664)"""
    logit: Tensor
    """the network's own number for `ids`"""
    quality: Tensor
    """by the model's head, higher for tokens more likely right (PRISM, arXiv 2510.01384)"""

    @classmethod
    def blank(cls, like: Tensor) -> Prediction:
        """Return a prediction without a value; like: float64 [B, L]."""
        nothing, nowhere = like.new_full(like.shape, float("nan")), like.new_full(like.shape, -1).long()
        return cls(nowhere, nothing, nothing, nowhere, *(nothing,) * 6)


class Candidates(NamedTuple):
    """The network's draw at every masked position, [B, L]: token ids and the probability each has, 0 elsewhere."""

    ids: Tensor
    confidence: Tensor


OwnMemory = Mapping[str, "Tensor"]
"""What a strategy remembers from step to step, by name; the first dimension of every tensor is the batch."""


@dataclass(frozen=True)
class View:
    """The arguments of a plan.  Prompt positions are neither masked nor revealed.

    t, s, alpha_t and alpha_s are float64 [B, 1] (each sequence may be at its own step; a block begins at t = 1); masked
    and revealed are bool [B, L]; held is float64 [B, L], the probability a token had when it was revealed.
    """

    t: Tensor
    s: Tensor
    alpha_t: Tensor
    alpha_s: Tensor
    masked: Tensor
    revealed: Tensor
    held: Tensor
    prediction: Prediction | None = None
    """None where the strategy reads none"""
    previous: Prediction | None = None
    """that of the last step, if the strategy reads it; without a value before the first"""
    memory: OwnMemory = dataclasses.field(default_factory=dict)
    noise: Tensor | None = None
    """float64 [B, L] in (0, 1), if the strategy reads it: for a choice that chance decides as a whole; [B, L, n] of
    those that have n `uniforms`"""
    vocab_size: int = 0
    """of the model; 0 where there is none"""
    ahead: Tensor | None = None
    """float64 [B, L], if the strategy reads it: the mean entropy, in nats, of the masks left after `prediction.ids` is
    revealed at the position alone, 0 where none is left; NaN at all but its `candidates`"""
    planned: Prediction | None = None
    """of the ids of `prediction` at revealed positions, if the strategy reads it, by a network that sees all ids in
    place"""
    tokens: Tensor | None = None
    """long [B, L]: what stands there, the mask included; None where there is no text"""

    @property
    def candidates(self) -> Candidates | None:
        """Return the draws at masked positions, as strategies of earlier versions read them."""
        seen = self.prediction
        return None if seen is None else Candidates(seen.ids, seen.confidence.where(self.masked, 0.0))

    @property
    def sigma_max(self) -> Tensor:
        """Return min(1, (1 - alpha_s) / alpha_t), 1 at alpha_t = 0 (ReMDM, arXiv 2503.00307, sigma_max) [B, 1]."""
        return ((1 - self.alpha_s) / self.alpha_t.clamp(min=1e-300)).clamp(max=1)


class Plan(NamedTuple):
    """Probabilities, broadcastable to [B, L]: of revealing a masked and of masking or editing a revealed position."""

    unmask: Tensor
    remask: Tensor
    edit: Tensor | None = None
    """of putting `prediction.ids` in the place of a revealed token: remask + edit is at most 1, and where each position
    has a number of its own it is 0 at all others"""
    memory: OwnMemory | None = None
    """what is remembered, under the names and in the shapes of `Strategy.initial_memory`; None: as before"""


def posterior(view: View, sigma: Tensor) -> Plan:
    """Return ReMDM's posterior for a given sigma, [B, 1] or [B, L] (arXiv 2503.00307, q_sigma)."""
    unmask = (view.alpha_s - (1 - sigma) * view.alpha_t) / (1 - view.alpha_t).clamp(min=1e-300)
    return Plan(unmask, sigma)


@dataclass(frozen=True)
class Strategy:
    """Subclasses add knobs as fields (see `knob`) and override `plan`; all else has a default."""

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    reads: ClassVar[frozenset[str] | str] = frozenset()
    """what `plan` reads besides time and state with the default knobs, names of `READS`; see `reads_of`"""
    preserves_marginal: ClassVar[bool] = True
    """whether the expected masked fraction is 1 - alpha after every step"""
    leaves_range: ClassVar[str] = ""
    """the formula by which the plan of the last step, where sigma_max is 0, leaves [0, 1]; empty: it does not"""
    edits: ClassVar[bool] = False
    """whether it puts other tokens in the place of revealed ones"""
    remasks: ClassVar[bool] = False
    """whether it is meant to mask revealed tokens again; `engine.lint` reports a run in which it never does"""
    remask_limit: ClassVar[int | None] = None
    """how many tokens of a sequence a step masks again at most, 0 for none; None claims nothing; see `most_remasks`"""
    from_the_left: ClassVar[bool] = False
    """whether what it reveals is always leftmost, as a model needs that predicts from the left alone"""

    def __post_init__(self) -> None:
        for info in knobs(type(self)):
            value = info.check(getattr(self, info.name))
            object.__setattr__(self, info.name, value)

    def plan(self, view: View) -> Plan:
        raise TypeError(f"{type(self).__name__} has no plan")

    def reading(self) -> frozenset[str]:
        """Return what `plan` reads with the knobs as they are."""
        return reads_of(type(self))

    def keeps_quota(self) -> str:
        """Return the name in QUOTAS of the quota that every step keeps with the knobs as they are; "" for none."""
        return ""

    def most_remasks(self, t: float, s: float, revealed: int) -> int | None:
        """Return how many of `revealed` tokens the step from t to s masks again at most; None claims nothing."""
        return self.remask_limit

    def remask_rule(self, t: float, sigma_max: float) -> str:
        """Return in a few words with numbers what the probability of a remask is at time t; "" if nothing is to say."""
        return ""

    def reveal_rule(self, revealed: int, masked: int) -> str:
        """Return in a few words why a position is one of the `revealed` out of `masked`; "" if by chance alone."""
        return ""

    def initial_memory(self, like: Tensor) -> OwnMemory:
        """Return what is remembered before the first step; like: float64 [B, L] on the model's device."""
        return {}

    def uniforms(self) -> int:
        """Return how many numbers `noise` has at every position."""
        return 1

    def candidates(self, view: View) -> Tensor:
        """Return where `ahead` is computed, bool [B, L], masks at which the prediction is read."""
        return view.masked

    def verification(self) -> str:
        """Return how `verified` is computed: `exact`, by `shadow`, or `auto`, by shadows where the model has them."""
        return "exact"

    def positions(self, view: View) -> Tensor:
        """Return where the prediction is read in this step, bool [B, L]; a sequence without any is not computed."""
        return view.masked | view.revealed if reads_of(self) & {"committed", "verified"} else view.masked

    def sees(self, view: View) -> Tensor | None:
        """Return how many of the first positions the network is shown in this step, long [B]; None: all.

        What follows is cut off, and no prediction is read there.  Not for strategies that read `divergence`.
        """
        return None

    def tilt(self, memory: OwnMemory, top: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is added to the logits at N positions before a token is drawn there and its probability taken.

        Called if `tilted` is read.  memory: that of these positions, [N, ...]; top and top_p [N]: the network's own
        most probable token and its probability.  Returns ids [N, K], -1 for none, and numbers [N, K].
        """
        raise TypeError(f"{type(self).__name__} has no tilt")

    def alpha(self, t: Tensor) -> Tensor:
        """Return the clock: expected unmasked fraction at time t."""
        return linear_alpha(t)

    def grid(self, steps: int) -> NDArray[np.float64]:
        """Return the times visited for a given number of steps, descending from 1."""
        return uniform_grid(steps)


def reads_of(strategy: Strategy | type[Strategy]) -> frozenset[str]:
    """Return what a strategy reads, as a set also where it says so in the word of an earlier version.

    Of a class it is what the default knobs read.
    """
    if isinstance(strategy, Strategy):
        return strategy.reading()
    reads = strategy.reads
    return OLDER_READS[reads] if isinstance(reads, str) else frozenset(reads)


def asks_network(strategy: Strategy | type[Strategy]) -> bool:
    """Return whether a plan needs the network's prediction."""
    return bool(reads_of(strategy) - OFFLINE)


def quota(view: View) -> Tensor:
    """Return the quota of masks of this step, equal for all steps left and rounded up as LLaDA does, long [B, 1]."""
    masked = view.masked.sum(-1, keepdim=True)
    return (masked * (1 - view.s / view.t) - SLACK).ceil().long()


def knob(
    default: Any,
    doc: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    needs: tuple[str, str] | None = None,
    scale: Literal["linear", "log"] = "linear",
) -> Any:
    """Return a field that people may turn; see `engine.records.KnobInfo` for what the rest says."""
    return dataclasses.field(
        default=default,
        kw_only=True,
        metadata={"doc": doc, "low": low, "high": high, "choices": choices, "needs": needs, "scale": scale},
    )


def knobs(strategy: type[Strategy]) -> tuple[KnobInfo, ...]:
    """Return the knobs of a strategy, its own before inherited ones; without those that can have no effect in it."""
    own = list(inspect.get_annotations(strategy))
    fields = sorted(dataclasses.fields(strategy), key=lambda f: own.index(f.name) if f.name in own else len(own))
    infos = [KnobInfo(f.name, cast(Knob, f.default), **{"doc": "", **f.metadata}) for f in fields]
    choices = {info.name: set(info.choices) for info in infos}
    return tuple(info for info in infos if info.needs is None or choices[info.needs[0]] & set(info.needs[1].split("|")))


def describe(strategy: type[Strategy]) -> StrategyInfo:
    return StrategyInfo(
        strategy.name, strategy.summary, strategy.source, tuple(sorted(reads_of(strategy))), knobs(strategy),
        strategy.preserves_marginal, strategy.leaves_range, strategy.edits,
    )  # fmt: skip


def values(strategy: Strategy) -> dict[str, Knob]:
    """Return the knobs as they are set."""
    return {info.name: getattr(strategy, info.name) for info in knobs(type(strategy))}
