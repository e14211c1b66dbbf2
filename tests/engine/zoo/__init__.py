"""What authors' code did on a toy network, state by state, and the same network for ours.

The JSON files beside this module hold the runs: at temperature 0, the state before every call of the network and the
state at the end, spelled by `alphabet` (the mask is `_`).  Each names the file that was run and what was patched.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from engine.sampling.session import Session
from engine.strategies import Strategy
from tests.engine.stats import FEWEST

VOCABULARY, MASK, END, PLACES = 12, 11, 10, 40
MASK_BIAS = -50.0
"""added to the mask's logit, so that the network hardly ever predicts the mask itself"""


@cache
def weights() -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the network's tables: by place, by pair of places and tokens, and of the head."""
    noise = np.random.default_rng(7)
    return {
        "place": noise.normal(size=(PLACES, VOCABULARY)) * 1.2,
        "pair": noise.normal(size=(PLACES, PLACES, VOCABULARY, VOCABULARY)) * 0.7,
        "head": noise.normal(size=(PLACES, PLACES, VOCABULARY)) * 0.7,
    }


class ZooToy:
    """logits[i] = place[i] + the sum over j, from the left, of pair[i, j, x_j], in float64 and then float32.

    block_causal: length of blocks; a position looks at those of its own block and of earlier ones.
    """

    vocab_size = VOCABULARY
    mask_id = MASK
    max_length: int | None = PLACES
    time_conditioned = False

    def __init__(self, block_causal: int = 0, mask_bias: float = MASK_BIAS) -> None:
        self._block, self._bias = block_causal, mask_bias
        self.seen: list[Tensor] = []
        """the rows of every call"""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.seen.append(tokens.clone())
        ids, length = tokens.numpy(), tokens.shape[1]
        tables = weights()
        out = np.broadcast_to(tables["place"][:length], (*ids.shape, VOCABULARY)).copy()
        out[:, :, MASK] += self._bias
        at = np.arange(length)
        for j in range(length):
            looks = np.ones(length) if not self._block else (at // self._block >= j // self._block).astype(float)
            out += looks[:, None] * tables["pair"][:length, j][:, ids[:, j]].swapaxes(0, 1)
        return torch.from_numpy(out.astype(np.float32))

    def project(self, hidden: Tensor) -> Tensor:
        return hidden


def head(tokens: Tensor) -> Tensor:
    """Return the score of every position: the sum over j of head[i, j, x_j], float32 [B, L]."""
    ids, length = tokens.numpy(), tokens.shape[1]
    out = np.zeros(ids.shape)
    for j in range(length):
        out += weights()["head"][:length, j][:, ids[:, j]].T
    return torch.from_numpy(out.astype(np.float32))


def all_settings(name: str) -> list[dict[str, Any]]:
    """Return every setting of `zoo/NAME.json`."""
    return list(json.loads((Path(__file__).parent / f"{name}.json").read_text())["settings"])


def published(name: str, *, ties: bool = False, laws: bool = False) -> list[dict[str, Any]]:
    """Return the settings of `zoo/NAME.json` with their states; those that ties decide only if `ties`.

    laws: those in place of them that chance decides, with how often each state came up (see `likeness`).
    """
    kind = "laws" if laws else "states"
    return [one for one in all_settings(name) if kind in one and (ties or "ties" not in one)]


def sampled(name: str) -> list[dict[str, Any]]:
    """Return the settings of `zoo/NAME.json` with the counts of what single calls led to, above temperature 0."""
    return [one for one in all_settings(name) if "laws" in one]


def spelled(tokens: Tensor | np.ndarray[Any, Any]) -> str:
    """Return a state as the files spell it."""
    return "".join("0123456789a_"[int(token)] for token in tokens)


def states(strategy: Strategy, *, model: ZooToy | None = None, steps: int, length: int, **settings: Any) -> list[str]:
    """Return the states of our run at temperature 0: before the first step and after every one.

    length: of the canvas, the prompt included.  settings: those of `Session` besides.
    """
    settings = {"temperature": 0.0, "top_p": 1.0, **settings}
    run = Session(model or ZooToy(), strategy, steps=steps, length=length, **settings)
    first = spelled(run.tokens[0])
    return [first, *(spelled(frame.tokens[0]) for frame in run)]


def likeness(law: dict[str, Any], tokens: np.ndarray[Any, Any]) -> float:
    """Return the p-value of a chi-square of our states [N, L] against a law that the authors' code led to.

    A law counts the states after a step; those it does not name, and rare ones, are counted together.
    """
    theirs = law["counts"]
    ours = Counter(spelled(row) for row in tokens)
    share = len(tokens) / law["n"]
    named = [state for state, count in theirs.items() if count * (1 + share) >= 2 * FEWEST]
    columns = [[theirs[state], ours[state]] for state in named]
    rest = [total - sum(column[i] for column in columns) for i, total in enumerate((law["n"], len(tokens)))]
    table = np.array([*columns, *([rest] if sum(rest) else [])]).T
    return 1.0 if table.shape[1] == 1 else float(stats.chi2_contingency(table).pvalue)


def likenesses(strategy: Strategy, run: dict[str, Any], **settings: Any) -> list[float]:
    """Return `likeness` after every step of as many runs of ours as a published law has; settings: of `Session`."""
    settings = {"top_p": 1.0, "prompt": run["prompt"], "seed": 1, **settings}
    frames = Session(ZooToy(), strategy, batch=run["rows"], **settings)
    steps = [frame.tokens for frame in frames]
    assert len(steps) == len(run["laws"])
    return [likeness(law, tokens) for law, tokens in zip(run["laws"], steps, strict=True)]
