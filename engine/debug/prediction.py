"""The network's prediction of one position of a state, and what every strategy would do there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from engine.debug.findings import Drafts, Ranked, TokenPrediction, Verdict
from engine.models.protocol import encode_rows, has_simplex, never_drawn, quality_of
from engine.sampling import kernel
from engine.sampling.guidance import Hidden, encode_free, is_guided, logits_of
from engine.sampling.readout import Readout
from engine.sampling.second_calls import with_second_calls
from engine.sampling.session import Session, grid_of
from engine.sampling.simplex import SimplexReader
from engine.sampling.state import NextStep, SamplerState
from engine.sampling.step import memory_of, view_of
from engine.strategies import Prediction, Strategy, View, asks_network, reads_of
from engine.strategies.schedules import next_time
from engine.strategies.validation import StrategyError
from engine.text.counts import counted

MOST = 200
"""tokens that are ranked at most"""
ROWS = 64
"""positions whose probabilities are computed at a time"""


@torch.no_grad()
def predict_position(
    session: Session, sample: int, position: int, *, kinds: Mapping[str, type[Strategy]], step: int | None = None,
    top: int = 20,
) -> TokenPrediction:  # fmt: skip
    """Return the network's `top` tokens at a position before step `step` (None: the next), as the settings of it
    decide.

    A revealed position is shown to the network as a mask.  kinds: strategies to judge with their default knobs; the
    running one comes first, with its own.  The head is computed on one row, and on all rows that strategies read.  The
    session does not change.  Raises ValueError for a step, sample or position that does not exist.
    """
    step = session.index if step is None else step
    ahead = session.before(step)
    batch, length = ahead.state.tokens.shape
    if not (0 <= sample < batch and 0 <= position < length):
        held = f"{counted(batch, 'sample')} of {counted(length, 'position')}"
        raise ValueError(f"there is no position {position} of sample {sample}: {held}")
    row = ahead.state.rows([sample])
    if row.seen is not None and not bool((row.seen == position).any()):
        raise ValueError(f"the window that the network sees does not reach position {position} now")
    mask_id, token = session.model.mask_id, int(row.tokens[0, position])
    masked, settings = token == mask_id, ahead.config.settings
    p = _probabilities(session, row, ahead, position)
    at_zero = settings.temperature == 0
    nucleus = p if settings.top_p >= 1 else kernel.nucleus_top(p, settings.top_p, settings.nucleus)
    kept = torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).bool() if at_zero else nucleus > 0
    best = p[0].sort(descending=True, stable=True)
    ranked = [
        Ranked(int(i), float(x), bool(kept[0, i])) for x, i in zip(best.values[:MOST], best.indices[:MOST], strict=True)
    ]
    running = {settings.strategy: ahead.config.strategy}
    others = running | {name: kind for name, kind in kinds.items() if name != settings.strategy}
    return TokenPrediction(
        step=step,
        sample=sample,
        position=position,
        token=token,
        masked=masked,
        top=tuple(one for one in ranked[: max(0, top)] if one.probability > 0),
        nucleus=int(kept.sum()),
        entropy=float(torch.special.entr(p).sum()),
        own=math.nan if masked else float(p[0, token]),
        verdicts=_verdicts(session, row, ahead, position, others),
    )


@torch.no_grad()
def predict_drafts(session: Session, sample: int, step: int | None = None) -> Drafts:
    """Return the network's first choice at every masked position before step `step` (None: the next), in one call.

    The session does not change.  Raises ValueError for a step or sample that does not exist.
    """
    step = session.index if step is None else step
    ahead, model = session.before(step), session.model
    batch = len(ahead.state.tokens)
    if not 0 <= sample < batch:
        raise ValueError(f"there is no sample {sample}: the run has {batch}")
    row = ahead.state.rows([sample])
    where = row.shown(row.masked(model.mask_id))
    every = torch.arange(row.tokens.shape[1], device=row.tokens.device)[None]
    positions = row.shown(every)[where]
    if not len(positions) or "simplex" in reads_of(ahead.config.strategy):
        return Drafts(step, sample, (), (), (), ())
    noise = row.noise(ahead.config.strategy.alpha(_time(ahead.t, row)), model.mask_id)
    settings = ahead.config.settings
    own = encode_rows(model, row.shown(row.tokens), noise, where)
    alpha_t = ahead.config.strategy.alpha(_time(ahead.t, row))
    free = encode_free(model, row, row.masked(model.mask_id), alpha_t) if is_guided(settings, row) else None
    never, temperature = never_drawn(model), settings.temperature or 1.0
    found = []
    for part in (Hidden(own, free).rows(slice(i, i + ROWS)) for i in range(0, len(own), ROWS)):
        p = kernel.probabilities(logits_of(model, settings, part), model.mask_id, temperature, never=never)
        best = p.max(-1)
        found.append((best.indices, best.values, torch.special.entr(p).sum(-1)))
    tokens, probabilities, entropies = (torch.cat(parts).tolist() for parts in zip(*found, strict=True))
    return Drafts(step, sample, tuple(positions.tolist()), tuple(tokens), tuple(probabilities), tuple(entropies))


def _probabilities(session: Session, row: SamplerState, ahead: NextStep, position: int) -> Tensor:
    """Return p(x0) at the position before the nucleus, float64 [1, V]; at temperature 0 that of temperature 1."""
    model, settings = session.model, ahead.config.settings
    never = never_drawn(model)
    if "simplex" in reads_of(ahead.config.strategy):
        logits = logits_of(model, settings, _on_simplex(session, row, ahead, position))
        return kernel.probabilities(logits, model.mask_id, settings.temperature or 1.0, never=never)
    tokens = row.tokens.clone()
    tokens[0, position] = model.mask_id
    where = torch.zeros_like(row.locked)
    where[0, position] = True
    alpha_t = ahead.config.strategy.alpha(_time(ahead.t, row))
    noise = replace(row, tokens=tokens).noise(alpha_t, model.mask_id)
    own = encode_rows(model, row.shown(tokens), noise, row.shown(where))
    free = encode_free(model, replace(row, tokens=tokens), where, alpha_t) if is_guided(settings, row) else None
    return kernel.probabilities(
        logits_of(model, settings, Hidden(own, free)), model.mask_id, settings.temperature or 1.0, never=never
    )


def _on_simplex(session: Session, row: SamplerState, ahead: NextStep, position: int) -> Hidden:
    """Return what the network gives of a position whose canvas is a point on the simplex, [1, D]."""
    if not bool(row.open[0, position]):
        raise ValueError(f"position {position} is not in the block at work, which alone is predicted")
    t = _time(ahead.t, row)
    reader = SimplexReader(session.model, session.seed)
    own = reader.encode(ahead.config, row, [ahead.step], t, ahead.config.strategy.alpha(t))
    return Hidden(own[row.open[0, :position].sum()][None])


def _time(t: float, row: SamplerState) -> Tensor:
    return torch.full((1, 1), t, dtype=torch.float64, device=row.tokens.device)


def _verdicts(
    session: Session, row: SamplerState, ahead: NextStep, position: int, kinds: Mapping[str, type[Strategy] | Strategy]
) -> tuple[Verdict, ...]:
    """Return what each strategy would do; one that is a class has its default knobs."""
    reader = _Reader(session, row, ahead)
    verdicts = []
    for name, kind in kinds.items():
        problem = _why_no_verdict(session, row, ahead, position, kind)
        if problem:
            verdicts.append(Verdict(name, 0.0, 0.0, problem))
            continue
        try:
            strategy = kind() if isinstance(kind, type) else kind
            verdicts.append(_verdict(session, row, ahead, position, strategy, reader))
        except (ValueError, ArithmeticError, StrategyError) as error:
            verdicts.append(Verdict(name, 0.0, 0.0, str(error)))
    return tuple(verdicts)


def _why_no_verdict(
    session: Session, row: SamplerState, ahead: NextStep, position: int, kind: type[Strategy] | Strategy
) -> str:
    """Return why a strategy has no verdict; empty if it has one."""
    if bool(row.locked[0, position]):
        return "the position is locked"
    if not bool(row.open[0, position]):
        return "the position is not in the block at work"
    if ahead.s == ahead.t:
        return "no step is left"
    if getattr(session.model, "causal", False) and not kind.from_the_left:
        return "the model predicts from the left alone"
    if "simplex" in reads_of(kind):
        return (
            "all of the block takes the network's argmax"
            if has_simplex(session.model)
            else "the model reads no simplex"
        )
    if "quality" in reads_of(kind) and quality_of(session.model) is None:
        return "the model has no trained head"
    return ""


class _Reader:
    """Computes the prediction of one state for several strategies: once for all that read the same of it."""

    def __init__(self, session: Session, row: SamplerState, ahead: NextStep) -> None:
        self.readout, self._row, self._ahead = Readout(session.model, session.seed), row, ahead
        self._known: dict[frozenset[str], Prediction] = {}

    def prediction(self, strategy: Strategy, view: View) -> Prediction | None:
        if not asks_network(strategy):
            return None
        reads = reads_of(strategy)
        # these depend on what the strategy itself remembers
        chooses = type(strategy).positions is not Strategy.positions or bool(reads & {"tilted", "divergence"})
        if reads in self._known and not chooses:
            return self._known[reads]
        config = replace(self._ahead.config, strategy=strategy)
        row = replace(self._row, memory=memory_of(strategy, self._row))
        found = self.readout.predict(config, row, [self._ahead.step], view).prediction
        if not chooses:
            self._known[reads] = found
        return found


def _verdict(
    session: Session, row: SamplerState, ahead: NextStep, position: int, strategy: Strategy, reader: _Reader
) -> Verdict:
    """Return what one strategy would do at the position in its own step from t."""
    then = next_time(grid_of(strategy, session.blocks.steps[ahead.block]), ahead.t)
    if then is None:
        return Verdict(strategy.name, 0.0, 0.0, "it has no step left")
    t, s = _time(ahead.t, row), _time(then, row)
    view = view_of(strategy, row, session.model, session.seed, [ahead.step], t, s)
    view = replace(view, prediction=reader.prediction(strategy, view))
    if view.prediction is not None:
        view, _ = with_second_calls(reader.readout, strategy, ahead.config.settings, row, view)
    plan = strategy.plan(view)
    unmask, remask = (float(kernel.clamp(p)[0].expand(row.tokens.shape)[0, position]) for p in plan[:2])
    revealed = not bool(view.masked[0, position])
    return Verdict(strategy.name, 0.0 if revealed else unmask, remask if revealed else 0.0)
