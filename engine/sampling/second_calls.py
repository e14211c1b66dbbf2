"""What a plan reads that takes network calls after the prediction: of each candidate, or of all draws together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from engine.models.protocol import encode_rows, never_drawn
from engine.records import Settings
from engine.sampling import kernel
from engine.sampling.encoding import Encoder, ReadPositions
from engine.sampling.readout import Readout
from engine.sampling.state import SamplerState
from engine.strategies import Prediction, Strategy, View, reads_of


def with_second_calls(
    readout: Readout, strategy: Strategy, settings: Settings, state: SamplerState, view: View
) -> tuple[View, Tensor]:
    """Return the view, which has its prediction, with `ahead` and `planned` where the strategy reads them.

    Returns also how often each sequence goes through the network for that, long [B].
    """
    calls = torch.zeros_like(view.masked[:, 0]).long()
    if "ahead" in reads_of(strategy):
        ahead, more = look_ahead(readout, strategy, settings, state, view)
        view, calls = replace(view, ahead=ahead), calls + more
    if "planned" in reads_of(strategy):
        planned, more = plan_by_draws(readout, settings, state, view)
        view, calls = replace(view, planned=planned), calls + more
    return view, calls


@torch.no_grad()
def look_ahead(
    readout: Readout, strategy: Strategy, settings: Settings, state: SamplerState, view: View
) -> tuple[Tensor, Tensor]:
    """Return `View.ahead`, float64 [B, L], and how often each sequence goes through the network for it, long [B].

    The plan's candidates are revealed one at a time, each in a row of its own.
    """
    assert view.prediction is not None
    mask_id, ids = readout.model.mask_id, view.prediction.ids
    where = strategy.candidates(view) & view.masked & (ids >= 0)
    sequence, position = where.nonzero(as_tuple=True)
    means = [torch.zeros(0, dtype=torch.float64, device=readout.device)]
    for rows, places in readout.encoder.in_portions(state, sequence, position):
        part = replace(state, memory=None).rows(rows.tolist())
        part = replace(part, tokens=part.tokens.scatter(1, places[:, None], ids[rows, places][:, None]))
        left = ReadPositions.of(part.shown(part.tokens == mask_id))
        total = torch.zeros(len(rows), dtype=torch.float64, device=readout.device)
        if len(left.rows):
            alpha_t = view.alpha_t.expand(len(where), 1)[rows]

            def noise(shown: SamplerState, alpha_t: Tensor = alpha_t) -> Tensor:
                return shown.noise(alpha_t, mask_id)

            for here, p in _distributions(readout, settings, part, left, noise):
                total.index_add_(0, left.sequence[here], torch.special.entr(p).sum(-1))
            total /= left.sequence.bincount(minlength=len(rows)).clamp(min=1)
        means.append(total)
    ahead = torch.full_like(state.held, torch.nan)
    ahead[where] = torch.cat(means)
    return ahead, where.sum(-1)


@torch.no_grad()
def plan_by_draws(readout: Readout, settings: Settings, state: SamplerState, view: View) -> tuple[Prediction, Tensor]:
    """Return `View.planned` and how often each sequence goes through the network for it, long [B].

    The prediction's ids stand at all positions where it is read.
    """
    assert view.prediction is not None
    ids, mask_id = view.prediction.ids, readout.model.mask_id
    where = view.revealed & (ids >= 0)
    found = [column.clone() for column in Prediction.blank(state.held)]
    planned = Prediction(*found)
    if bool(where.any()):
        drawn = replace(state, tokens=ids.where(ids >= 0, state.tokens), memory=None)
        chosen = ReadPositions.of(drawn.shown(where))

        def noise(shown: SamplerState) -> Tensor:
            return (shown.shown(shown.tokens) == mask_id).double().mean(-1)

        parts = [
            kernel.summarize_rows(p, ids[where][here])
            for here, p in _distributions(readout, settings, drawn, chosen, noise)
        ]
        seen = kernel.RowSummary(*map(torch.cat, zip(*parts, strict=True)))
        columns = {
            "ids": ids[where], "confidence": seen.current, "top": seen.top, "top_p": seen.top_p,
            "margin": seen.margin, "entropy": seen.entropy,
        }  # fmt: skip
        for name, values in columns.items():
            getattr(planned, name)[where] = values
    return planned, where.any(-1).long()


def _distributions(
    readout: Readout, settings: Settings, state: SamplerState, chosen: ReadPositions,
    noise: Callable[[SamplerState], Tensor],
) -> Iterator[tuple[slice, Tensor]]:  # fmt: skip
    """Yield the distributions [N, V] at positions of what is shown, a few at a time, with the rows that they are of.

    noise: from a state to the noise level that the network is given, [B].
    """
    model = readout.model

    def encoded(_: Encoder, shown: SamplerState) -> Tensor:
        return encode_rows(model, shown.shown(shown.tokens)[chosen.rows], noise(shown)[chosen.rows], chosen.where)

    for here, logits in readout.logits(settings, readout.guided(settings, state, encoded)):
        yield here, kernel.probabilities(logits, model.mask_id, never=never_drawn(model))
