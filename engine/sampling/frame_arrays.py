"""The arrays of a frame, read from a device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.sampling.state import SamplerState
from engine.sampling.step import Decision


class FrameArrays(NamedTuple):
    """What `engine.records.Frame` holds by these names."""

    tokens: NDArray[np.int32]
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    unmask: NDArray[np.float32]
    remask: NDArray[np.float32]
    excess: float
    alpha_t: float
    alpha_s: float
    edit_plan: NDArray[np.float32] | None = None


def read_arrays(
    state: SamplerState, decision: Decision, change: Tensor, alpha_t: Tensor, alpha_s: Tensor
) -> FrameArrays:
    """Read the state after a step, its decision, and the codes of `Change`, uint8 [B, L]."""
    edit = decision.edit
    return FrameArrays(
        state.tokens.int().cpu().numpy(),
        change.cpu().numpy(),
        state.held.float().cpu().numpy(),
        _probabilities(decision.unmask, state),
        _probabilities(decision.remask, state),
        float(decision.excess.max()),
        float(alpha_t[0, 0]),
        float(alpha_s[0, 0]),
        None if edit is None else _probabilities(edit, state),
    )


def _probabilities(p: Tensor, state: SamplerState) -> NDArray[np.float32]:
    """Return p as [B, L], 0 outside the active block, without copying what is constant along L."""
    if state.active is not None:
        p = p * state.active
    return np.broadcast_to(p.float().cpu().numpy(), tuple(state.tokens.shape))
