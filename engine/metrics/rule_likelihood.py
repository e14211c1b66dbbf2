"""The exact likelihood of a text under a deterministic rule of revealing: DUEL, arXiv 2603.01367.

A strategy whose plan follows from the network alone makes a masked diffusion model a distribution that is known
exactly: the text's tokens are revealed where and when the strategy would reveal its own, and the log-probabilities that
they have then add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.metrics.bounds import LOGITS
from engine.metrics.judge import OnBatch
from engine.metrics.likelihood import BATCH, check_rows, is_causal
from engine.models.protocol import Denoiser, device_of, never_drawn
from engine.records import Settings
from engine.sampling.blocks import split
from engine.sampling.session import config_of, grid_of
from engine.sampling.state import SamplerState, StepConfig
from engine.sampling.step import Decision, Stepper
from engine.strategies import REGISTRY, Strategy, reads_of
from engine.system.callbacks import ignore

FITTING = ("low-confidence", "topk-margin", "left-to-right", "threshold")
"""Strategies to choose in place of one that is no rule."""


@dataclass(frozen=True)
class DecodingRule:
    """A strategy, and the steps and blocks that it reveals a text in."""

    strategy: Strategy
    steps: int | None = None
    """None: one for every token"""
    block_length: int | None = None
    """None: one block"""


class RuleScores(NamedTuple):
    """What n texts of L tokens have under a rule."""

    nats: NDArray[np.float64]
    """-log p of the whole text, [n]"""
    calls: NDArray[np.int64]
    """network calls, [n]"""
    step: NDArray[np.int64]
    """number of the step that revealed each token, [n, L]; a clean-up counts as one"""
    greedy: NDArray[np.bool_]
    """whether every token was the most probable one when it was revealed, [n]"""


def rule_scores(
    model: Denoiser,
    rule: DecodingRule,
    rows: Tensor | NDArray[np.integer],
    numbers: Sequence[int] | None = None,
    *,
    given: int = 0,
    batch: int = BATCH,
    done: OnBatch = ignore,
) -> RuleScores:
    """Return the exact likelihood of the rows of these numbers (None: all), out of all rows [N, L].

    given: how many tokens at the start of each row are a prompt, on which the likelihood is conditioned.  It does not
    depend on the batch.  Raises ValueError for rows that are not the model's, for a strategy that draws
    its choice, remasks or edits, and for a causal model; FloatingPointError if the network returns NaN.
    """
    tokens = torch.as_tensor(rows)
    numbers = range(len(tokens)) if numbers is None else numbers
    check_rows(model, tokens, numbers)
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    if is_causal(model):
        name = getattr(model, "name", "the model")
        raise ValueError(f"{name} predicts from the left alone: its likelihood is exact without a strategy")
    # a choice by uniforms of its own is 0 or 1 as well, and yet by chance
    if "noise" in reads_of(rule.strategy):
        raise ValueError(_no_rule(rule.strategy, "reveals by chance"))
    if "tilted" in reads_of(rule.strategy):
        raise ValueError(_no_rule(rule.strategy, "draws from other logits than the network's"))
    if type(rule.strategy).sees is not Strategy.sees:
        raise ValueError(_no_rule(rule.strategy, "shows the network a part of the text"))
    if rule.strategy.edits:
        raise ValueError(_no_rule(rule.strategy, "edits revealed tokens"))
    found = []
    for first in range(0, len(numbers), batch):
        some = list(numbers[first : first + batch])
        found.append(_Scoring(model, rule, tokens[some].long(), some, given).run())
        done(first + len(some), len(numbers))
    return RuleScores(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


class _Scoring:
    """Reveals some texts [B, L] by a rule and adds up what their tokens' log-probabilities are."""

    def __init__(self, model: Denoiser, rule: DecodingRule, text: Tensor, numbers: Sequence[int], given: int) -> None:
        self.model, self.rule = _CallOnce(model), rule
        self.text = text.to(device_of(model))
        length = text.shape[1]
        steps = length - given if rule.steps is None else rule.steps
        self.blocks = split(steps, length, given, rule.block_length)
        # the rule goes by the network's own choice and not by a draw
        settings = Settings(rule.strategy.name, top_p=1.0, temperature=0.0)
        self.config: StepConfig = config_of(rule.strategy, settings)
        self.stepper = Stepper(self.model, 0)
        self.state = SamplerState.blank(model, length, numbers)
        self.state.tokens[:, :given] = self.text[:, :given]
        self.state.held[:, :given] = 1.0
        self.state.locked[:, :given] = True
        self.greedy = torch.ones(len(text), dtype=torch.bool)
        self.nats = torch.zeros(len(text), dtype=torch.float64)
        self.calls = torch.zeros(len(text), dtype=torch.long)
        self.step = torch.zeros_like(text)

    @torch.inference_mode()
    def run(self) -> RuleScores:
        number = 0
        for block, steps in enumerate(self.blocks.steps):
            grid = grid_of(self.config.strategy, steps)
            for t, s in zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True):
                self._advance(block, number, t, s)
                number += 1
            self._clean_up(block, number, float(grid[-1]))
        return RuleScores(self.nats.numpy(), self.calls.numpy(), self.step.cpu().numpy(), self.greedy.numpy())

    def _part(self, block: int) -> tuple[list[int], SamplerState]:
        """Return the rows with masks left in a block, and their state."""
        where, device = [block] * len(self.text), self.stepper.device
        state = replace(self.state, active=self.blocks.active(where, device))
        rows = state.masked(self.model.mask_id).any(-1).nonzero()[:, 0].tolist()
        return rows, state.rows(rows)

    def _times(self, rows: Sequence[int], *times: float) -> list[Tensor]:
        return [torch.full((len(rows), 1), t, dtype=torch.float64, device=self.stepper.device) for t in times]

    def _advance(self, block: int, number: int, t: float, s: float) -> None:
        rows, part = self._part(block)
        if not rows:
            return
        now, then = self._times(rows, t, s)
        decision, called = self.stepper.decide(self.config, part, [number] * len(rows), now, then)
        _check(self.rule.strategy, decision, part, self.model.mask_id)
        if decision.memory is not None:
            # all begin in the first step, and so they all have a memory or none
            kept = self.state.memory
            self.state.memory = decision.memory if kept is None else kept.put(rows, decision.memory)
        self._reveal(rows, part, decision.flips.reveal, self.config.strategy.alpha(now), number)
        self.calls[rows] += (called | decision.flips.reveal.any(-1)).long().cpu()

    def _clean_up(self, block: int, number: int, t: float) -> None:
        """Reveal what the rule has left masked at once, as the sampler does."""
        rows, part = self._part(block)
        if rows:
            (now,) = self._times(rows, t)
            alpha = self.config.strategy.alpha(now)
            self._reveal(rows, part, part.masked(self.model.mask_id), alpha, number)
            self.calls[rows] += 1

    def _reveal(self, rows: list[int], part: SamplerState, where: Tensor, alpha_t: Tensor, number: int) -> None:
        """Put the text's tokens where bool [R, L] holds, and add what they have there."""
        if not bool(where.any()):
            return
        text = self.text[rows]
        hidden = self.model.encode(part.tokens, part.noise(alpha_t, self.model.mask_id))[where]
        count = max(1, LOGITS // self.model.vocab_size)
        parts = zip(torch.split(hidden, count), torch.split(text[where], count), strict=True)
        log_p, is_best = (torch.cat(column) for column in zip(*(self._log_p(*some) for some in parts), strict=True))
        sequence = where.nonzero()[:, 0]
        if bool(torch.isnan(log_p).any()):
            bad = part.numbers[int(sequence[torch.isnan(log_p)][0])]
            raise FloatingPointError(f"the network gives NaN for sequence {bad}")
        self.nats[rows] -= torch.zeros(len(rows), dtype=torch.float64).index_add_(0, sequence.cpu(), log_p.cpu())
        missed = torch.zeros(len(rows), dtype=torch.long).index_add_(0, sequence.cpu(), (~is_best).long().cpu())
        self.greedy[rows] &= missed == 0
        self.state.tokens[rows] = torch.where(where, text, part.tokens)
        self.state.held[rows] = part.held.masked_scatter(where, log_p.exp())
        self.step[rows] = self.step[rows].masked_fill(where, number)

    def _log_p(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability [N] of tokens, and bool [N], whether each is the most probable one.

        It is float64, which that of a rare one would vanish without.
        """
        scores = self.model.project(hidden).double()
        scores[:, [self.model.mask_id, *never_drawn(self.model)]] = -torch.inf
        return torch.log_softmax(scores, -1).gather(-1, targets[:, None])[:, 0], scores.argmax(-1) == targets


class _CallOnce:
    """A model that keeps the answer of its last call: what a plan has read is scored without a second one."""

    def __init__(self, model: Denoiser) -> None:
        self._model = model
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "encode_rows":
            raise AttributeError("the answer is kept for all positions")
        return getattr(self._model, name)

    @property
    def vocab_size(self) -> int:
        return self._model.vocab_size

    @property
    def mask_id(self) -> int:
        return self._model.mask_id

    @property
    def max_length(self) -> int | None:
        return self._model.max_length

    @property
    def time_conditioned(self) -> bool:
        return self._model.time_conditioned

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        last = self._last
        if last is None or not torch.equal(last[0], tokens) or not torch.equal(last[1], t):
            last = self._last = (tokens.clone(), t.clone(), self._model.encode(tokens, t))
        return last[2]

    def project(self, hidden: Tensor) -> Tensor:
        return self._model.project(hidden)


def _check(strategy: Strategy, decision: Decision, state: SamplerState, mask_id: int) -> None:
    """Raise ValueError unless a plan reveals for certain, and nothing else."""
    masked = state.masked(mask_id)
    unmask, remask = (part.expand(masked.shape) for part in (decision.unmask, decision.remask))
    if bool((remask[state.open & ~masked] > 0).any()):
        raise ValueError(_no_rule(strategy, "masks revealed tokens again"))
    chances = unmask[masked]
    if bool(((chances > 0) & (chances < 1)).any()):
        raise ValueError(_no_rule(strategy, "reveals by chance"))


def _no_rule(strategy: Strategy, why: str) -> str:
    plain = [name for name in FITTING if name in REGISTRY]
    return f"{strategy.name} {why}, so that no text has an exact likelihood: choose {' or '.join(plain)}"
