"""The conventions that figures depend on: `reference`, those of ReMDM's published code, and `standard`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

REVISION = 1
"""The version of how decisions are carried out; raise it when the same decision gives another figure."""
OF_LIKELIHOOD = frozenset({"times", "masking", "own_bound", "exact", "wrapped_together"})
"""Decisions that figures of given text depend on, and figures of samples do not."""


@dataclass(frozen=True)
class Conventions:
    """One set of conventions; `decisions` describes each in a sentence, which is reported with every figure."""

    name: str
    judged_piece: int | None
    """tokens of a text that the judge reads at a time, piece after piece; None: as many as it can, in one piece"""
    cut_at_length: bool
    """whether a text is cut at as many of the judge's tokens as the evaluated model's length"""
    judge_start: bool
    """whether the judge's own start token is put before a text"""
    after_end: bool
    """whether tokens behind the first end token count"""
    padding_end: bool
    """whether the padding of a short text counts as its first end token"""
    partial_batch: bool
    """whether the texts of a last incomplete batch count"""
    featured_tokens: int
    """of a text that MAUVE's features are taken from"""
    mauve_seeds: tuple[int, ...]
    mauve_scaling: float
    times: int
    """noise levels for each sequence of a likelihood bound"""
    masking: Literal["independent", "counted"]
    own_bound: bool
    """whether a likelihood bound is that of the model's own training, or SUBS's for every kind"""
    wrapped_together: int | None
    """documents that are wrapped into rows at a time; None: all"""

    @property
    def decisions(self) -> dict[str, str]:
        """Return a sentence for each decision, by the decision's name."""
        return SHARED | {f.name: SENTENCES[f.name](getattr(self, f.name)) for f in fields(self) if f.name != "name"}

    def digest(self, likelihood: bool) -> str:
        """Return the digest of the decisions that figures depend on, those of given text or those of samples."""
        taken = [
            f"{f.name} = {getattr(self, f.name)!r}"
            for f in fields(self)
            if f.name != "name" and (f.name in OF_LIKELIHOOD) == likelihood
        ]
        return hashlib.sha256("\n".join((f"revision {REVISION}", *taken)).encode()).hexdigest()[:16]


SHARED = {
    "pooling": "Generative perplexity is the exponential of the sum of all counted tokens' negative log likelihoods "
    "over their number, so that long texts weigh more.",
    "entropy": "Entropy is that of each sequence's own token frequencies, in nats, with the model's tokens and "
    "specials included, averaged over sequences.",
    "mauve_buckets": "MAUVE has a tenth as many k-means buckets as the smaller of the two sets of texts has members.",
    "mauve_features": "MAUVE's features are the featurizer's last hidden state at a text's last token, of unit length, "
    "reduced to nine tenths of their variance; empty texts are left out.",
    "exact": "A causal model does not predict the start token that every row begins with.",
    "intervals": "Intervals are percentiles of bootstrap resamples of whole texts or sequences.",
}
"""What both conventions have in common."""

SENTENCES: MappingProxyType[str, Callable[[Any], str]] = MappingProxyType(
    {
        "judged_piece": lambda n: (
            "The judge reads a text up to its context."
            if n is None
            else f"The judge reads a text in pieces of {n:,} tokens, or of its context if that is shorter, one by one."
        ),
        "cut_at_length": lambda yes: (
            "A text is cut at as many of the judge's tokens as the model's length."
            if yes
            else "A text is not cut at the model's length."
        ),
        "judge_start": lambda yes: (
            "Start and end tokens that a text begins with are taken away and the judge's start token put there, so "
            "that the first token counts too."
            if yes
            else "The judge reads the text as it is, and its first token, which nothing precedes, does not count."
        ),
        "after_end": lambda yes: (
            "Every token but end tokens counts, also behind the first end token, and so does that first one."
            if yes
            else "Tokens count up to and with the first end token."
        ),
        "padding_end": lambda yes: (
            "All texts are padded with end tokens to the longest, so that a shorter text without an end token gets one "
            "that counts."
            if yes
            else "Padding does not count."
        ),
        "partial_batch": lambda yes: (
            "Every text counts." if yes else "Texts that do not fill a last batch are left out of perplexity."
        ),
        "featured_tokens": lambda n: f"MAUVE's features read {n:,} tokens of a text, or as many as the featurizer can.",
        "mauve_seeds": lambda seeds: (
            f"MAUVE is computed with the seed {seeds[0]}."
            if len(seeds) == 1
            else f"MAUVE is the mean over the k-means seeds {', '.join(map(str, seeds))}."
        ),
        "mauve_scaling": lambda c: f"MAUVE scales divergences by {c:g}.",
        "times": lambda n: (
            f"A likelihood bound takes {n} noise level{'s' if n > 1 else ''} for each sequence, one in each of as many "
            "equal cells as there are draws."
        ),
        "masking": lambda how: (
            "At a noise level t in [0.001, 1] each token is masked with probability 0.999 t, and the bound weighs "
            "masked tokens by 1/t."
            if how == "independent"
            else "A noise level is a number of masks from 1 to the length, at random places, and the bound weighs "
            "masked tokens by the length over that number, which is the continuous-time bound with t integrated out."
        ),
        "own_bound": lambda yes: (
            "A model's bound is that of its own training: SUBS, score entropy or D3PM's."
            if yes
            else "The bound is that of SUBS for every kind of diffusion model."
        ),
        "wrapped_together": lambda n: (
            f"Documents are joined and cut into rows {n:,} at a time, and each time the rest is dropped."
            if n is not None
            else "Documents are joined and cut into rows all at once, and the rest is dropped."
        ),
    }
)

CONVENTIONS: MappingProxyType[str, Conventions] = MappingProxyType(
    {
        "reference": Conventions(
            name="reference",
            judged_piece=1024,
            cut_at_length=True,
            judge_start=False,
            after_end=True,
            padding_end=True,
            partial_batch=False,
            featured_tokens=1024,
            mauve_seeds=(25,),
            mauve_scaling=5.0,
            times=1,
            masking="independent",
            own_bound=True,
            wrapped_together=1000,
        ),
        "standard": Conventions(
            name="standard",
            judged_piece=None,
            cut_at_length=False,
            judge_start=True,
            after_end=False,
            padding_end=False,
            partial_batch=True,
            featured_tokens=1024,
            mauve_seeds=(25, 26, 27, 28, 29),
            mauve_scaling=5.0,
            times=4,
            masking="counted",
            own_bound=False,
            wrapped_together=None,
        ),
    }
)


def conventions(name: str) -> Conventions:
    """Return conventions by name.  Raises ValueError that lists the names for an unknown one."""
    if name not in CONVENTIONS:
        raise ValueError(f"unknown conventions {name!r}: choose {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
