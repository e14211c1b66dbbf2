"""Noise schedules of training: how much of a text is masked at time t, by sigma = -log alpha and its derivative.

A network is told the noise level and not the time, so that a model trained on any of these is sampled on any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import msgspec
import torch
from torch import Tensor

ENCODER_EPS = 1e-3
"""By how much the schedule that `DIT.encode` takes its times from falls short of masking all."""
LEAST_ALPHA = 2.0**-22
"""A share of visible tokens below which float32 could not tell 1 - alpha from 1."""


class Noise(Protocol):
    """t float64 in [0, 1], any shape, is what everything but `time` takes."""

    def sigma(self, t: Tensor) -> Tensor:
        """-log alpha_t, float64."""
        ...

    def rate(self, t: Tensor) -> Tensor:
        """Its derivative, float64."""
        ...

    def time(self, sigma: Tensor) -> Tensor:
        """The t at which sigma is as given."""
        ...


@dataclass(frozen=True)
class LogLinear:
    """alpha = 1 - (1 - eps) t."""

    eps: float = 1e-3

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.log1p(-(1 - self.eps) * t)

    def rate(self, t: Tensor) -> Tensor:
        return (1 - self.eps) / (1 - (1 - self.eps) * t)

    def time(self, sigma: Tensor) -> Tensor:
        return -torch.expm1(-sigma) / (1 - self.eps)


@dataclass(frozen=True)
class Cosine:
    """alpha = eps + (1 - eps) cos(pi t / 2)."""

    eps: float = 1e-3

    def sigma(self, t: Tensor) -> Tensor:
        # 1 - cos x = 2 sin^2 (x / 2), which keeps its digits where x is small
        return -torch.log1p(-(1 - self.eps) * 2 * torch.sin(math.pi / 4 * t) ** 2)

    def rate(self, t: Tensor) -> Tensor:
        slope = (1 - self.eps) * math.pi / 2 * torch.sin(math.pi / 2 * t)
        return slope / (self.eps + (1 - self.eps) * torch.cos(math.pi / 2 * t))

    def time(self, sigma: Tensor) -> Tensor:
        return 4 / math.pi * torch.asin((-torch.expm1(-sigma) / (1 - self.eps) / 2).clamp(max=0.5).sqrt())


@dataclass(frozen=True)
class CosineSquared:
    """alpha = eps + (1 - eps) cos^2(pi t / 2)."""

    eps: float = 1e-3

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.log1p(-(1 - self.eps) * torch.sin(math.pi / 2 * t) ** 2)

    def rate(self, t: Tensor) -> Tensor:
        slope = (1 - self.eps) * math.pi / 2 * torch.sin(math.pi * t)
        return slope / (self.eps + (1 - self.eps) * torch.cos(math.pi / 2 * t) ** 2)

    def time(self, sigma: Tensor) -> Tensor:
        return 2 / math.pi * torch.asin((-torch.expm1(-sigma) / (1 - self.eps)).clamp(max=1).sqrt())


@dataclass(frozen=True)
class Linear:
    """sigma grows linearly."""

    sigma_min: float = 1e-3
    sigma_max: float = 10.0

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min + (self.sigma_max - self.sigma_min) * t

    def rate(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.sigma_max - self.sigma_min)

    def time(self, sigma: Tensor) -> Tensor:
        return (sigma - self.sigma_min) / (self.sigma_max - self.sigma_min)


@dataclass(frozen=True)
class Geometric:
    """sigma grows by equal factors: sigma_min^(1 - t) sigma_max^t."""

    sigma_min: float = 1e-3
    sigma_max: float = 10.0

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.exp(self._growth * t)

    def rate(self, t: Tensor) -> Tensor:
        return self._growth * self.sigma(t)

    def time(self, sigma: Tensor) -> Tensor:
        return torch.log(sigma / self.sigma_min) / self._growth

    @property
    def _growth(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)


NOISES: dict[str, type[LogLinear] | type[Cosine] | type[CosineSquared] | type[Linear] | type[Geometric]] = {
    "loglinear": LogLinear,
    "cosine": Cosine,
    "cosine-squared": CosineSquared,
    "linear": Linear,
    "geometric": Geometric,
}


class NoiseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is masked at time t, a schedule of NOISES."""

    name: str = "loglinear"
    eps: float = 1e-3
    """Of loglinear and the cosines: the share that is visible at t = 1."""
    sigma_min: float = 1e-3
    """Of linear and geometric: -log of the share that is visible at t = 0."""
    sigma_max: float = 10.0
    """Of linear and geometric: the same at t = 1."""

    def __post_init__(self) -> None:
        if self.name not in NOISES:
            raise ValueError(f"unknown noise.name {self.name!r}: choose {', '.join(NOISES)}")
        if not 0 < self.eps < 1:
            raise ValueError(f"noise.eps must lie between 0 and 1, not {self.eps}")
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(f"0 < noise.sigma_min < noise.sigma_max, not {self.sigma_min} and {self.sigma_max}")


def make_noise(section: NoiseSection) -> Noise:
    """The schedule that a configuration names, given those of its numbers that it has."""
    made = NOISES[section.name]
    return made(**{name: getattr(section, name) for name in made.__dataclass_fields__})


def alpha(noise: Noise, t: Tensor) -> Tensor:
    """The share of a text that is visible at t."""
    return torch.exp(-noise.sigma(t))


def slope(noise: Noise, t: Tensor) -> Tensor:
    """The derivative of alpha, which is below 0."""
    return -noise.rate(t) * alpha(noise, t)


def masked(noise: Noise, t: Tensor) -> Tensor:
    """1 - alpha, with all its digits."""
    return -torch.expm1(-noise.sigma(t))


def weight(noise: Noise, t: Tensor) -> Tensor:
    """-alpha' / (1 - alpha): what the continuous bound weighs a masked token by."""
    return noise.rate(t) / torch.expm1(noise.sigma(t))


def encoder_time(fraction: Tensor) -> Tensor:
    """What to tell `DIT.encode`, float32, where a fraction 1 - alpha is masked: then it hears sigma = -log alpha."""
    return (fraction.clamp(max=1 - LEAST_ALPHA) / (1 - ENCODER_EPS)).float()
