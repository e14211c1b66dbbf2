"""The networks of the DIT family once more, as slow as they are plain: one position after the other, in float64.

Written from the formulas alone, so that nothing is shared with what it checks.  Weights are a dictionary by the
names of the field's checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
Sees = NDArray[np.bool_] | None


def blocks_of(w: Weights) -> int:
    return 1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))


def standardised(x: Array) -> Array:
    centred = x - x.mean()
    return centred / math.sqrt(float((centred**2).mean()) + 1e-5)


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def turned(vector: Array, position: int) -> Array:
    """Rotate the pairs (i, i + half) of a head's vector by position / 10000^(2 i / width)."""
    half = len(vector) // 2
    out = np.empty_like(vector)
    for i in range(half):
        angle = position * 10000.0 ** (-2 * i / len(vector))
        a, b = vector[i], vector[i + half]
        out[i] = a * math.cos(angle) - b * math.sin(angle)
        out[i + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def conditioning(w: Weights, sigma: float) -> Array:
    waves = [sigma * math.exp(-math.log(10000) * i / 128) for i in range(128)]
    features = np.array([math.cos(a) for a in waves] + [math.sin(a) for a in waves])
    hidden = silu(w["sigma_map.mlp.0.weight"] @ features + w["sigma_map.mlp.0.bias"])
    return silu(w["sigma_map.mlp.2.weight"] @ hidden + w["sigma_map.mlp.2.bias"])


def modulations(w: Weights, name: str, c: Array | None, parts: int, dim: int) -> list[Array]:
    """Return shift, scale, gate, shift, scale, gate; without conditioning those that change nothing."""
    if c is None:
        neutral = [np.zeros(dim), np.zeros(dim), np.ones(dim)]
        return (neutral * 2)[:parts]
    flat = w[f"{name}.weight"] @ c + w[f"{name}.bias"]
    return [flat[i * dim : (i + 1) * dim] for i in range(parts)]


def attended(
    w: Weights, name: str, normed: Array, heads: int, causal: bool, places: Sequence[int], sees: Sees
) -> Array:
    length, dim = normed.shape
    width = dim // heads
    mixed = np.zeros((length, dim))
    # 'three h d': the first dim rows of the matrix are the queries, head after head
    queries, keys, values = (normed @ part.T for part in np.split(w[f"{name}.attn_qkv.weight"], 3))
    for head in range(heads):
        here = slice(head * width, (head + 1) * width)
        q = [turned(queries[i, here], places[i]) for i in range(length)]
        k = [turned(keys[i, here], places[i]) for i in range(length)]
        for i in range(length):
            seen = [j for j in range(i + 1 if causal else length) if sees is None or sees[i, j]]
            scores = np.array([float(q[i] @ k[j]) / math.sqrt(width) for j in seen])
            share = np.exp(scores - scores.max())
            share /= share.sum()
            mixed[i, here] = sum(share[n] * values[j, here] for n, j in enumerate(seen))
    return mixed @ w[f"{name}.attn_out.weight"].T


def logits(
    w: Weights, tokens: list[int], heads: int, sigma: float | None, causal: bool = False,
    places: Sequence[int] | None = None, sees: Sees = None,
) -> Array:  # fmt: skip
    """Return the raw output [L, V] of one sequence; sigma None: a network without modulation.

    places: where each token stands, if not one after the other.  sees: which rows look at which columns, if not all.
    """
    places = range(len(tokens)) if places is None else places
    c = None if sigma is None else conditioning(w, sigma)
    x = np.stack([w["vocab_embed.embedding"][token] for token in tokens])
    dim = x.shape[1]
    for number in range(blocks_of(w)):
        name = f"blocks.{number}"
        shift1, scale1, gate1, shift2, scale2, gate2 = modulations(w, f"{name}.adaLN_modulation", c, 6, dim)
        normed = np.stack([standardised(row) * w[f"{name}.norm1.weight"] * (1 + scale1) + shift1 for row in x])
        x = x + gate1 * attended(w, name, normed, heads, causal, places, sees)
        for i in range(len(x)):
            row = standardised(x[i]) * w[f"{name}.norm2.weight"] * (1 + scale2) + shift2
            up = gelu(w[f"{name}.mlp.0.weight"] @ row + w[f"{name}.mlp.0.bias"])
            x[i] = x[i] + gate2 * (w[f"{name}.mlp.2.weight"] @ up + w[f"{name}.mlp.2.bias"])
    shift, scale = modulations(w, "output_layer.adaLN_modulation", c, 2, dim)
    final = [standardised(row) * w["output_layer.norm_final.weight"] * (1 + scale) + shift for row in x]
    return np.stack([w["output_layer.linear.weight"] @ row + w["output_layer.linear.bias"] for row in final])


def sigma_of(t: float) -> float:
    return -math.log(1 - (1 - 1e-3) * t)


def sedd_scores_inside(w: Weights, tokens: list[int], heads: int, sigma: float) -> Array:
    """louaaron's forward: the constants subtracted inside, the entry of each input token set to log 1."""
    out = logits(w, tokens, heads, sigma)
    grown = math.expm1(sigma) if sigma < 0.5 else math.exp(sigma) - 1
    out = out - math.log(grown) - math.log(out.shape[1] - 1)
    for i, token in enumerate(tokens):
        out[i, token] = 0.0
    return np.exp(out)


def sedd_scores_outside(w: Weights, tokens: list[int], heads: int, sigma: float) -> Array:
    """The Kuleshov group's: exp of the raw output first, the scaling as a factor after it."""
    out = np.exp(logits(w, tokens, heads, sigma))
    out *= 1 / ((math.exp(sigma) - 1) * (out.shape[1] - 1))
    for i, token in enumerate(tokens):
        out[i, token] = 1.0
    return out
