"""Noise schedules of training: how much of a text is masked at time t, by sigma = -log alpha and its derivative.

A network takes the noise level and not the time, so that a model trained on any schedule is sampled on any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import msgspec
import torch
from torch import Tensor

ENCODER_EPS = 1e-3
"""The share of visible tokens at t = 1 in the log-linear schedule of `DIT.encode`."""
LEAST_ALPHA = 2.0**-22
"""The smallest share of visible tokens, so that 1 - alpha stays below 1 in float32."""


class Noise(Protocol):
    """A noise schedule; times t are float64 in [0, 1], of any shape."""

    def sigma(self, t: Tensor) -> Tensor:
        """Return -log alpha_t, float64."""
        ...

    def rate(self, t: Tensor) -> Tensor:
        """Return the derivative of sigma, float64."""
        ...

    def time(self, sigma: Tensor) -> Tensor:
        """Return the t of a sigma, float64."""
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
    """A noise schedule of NOISES: the share of masked tokens at time t."""

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
    """Return the schedule that a configuration names, with those of its numbers that the schedule takes."""
    schedule = NOISES[section.name]
    return schedule(**{name: getattr(section, name) for name in schedule.__dataclass_fields__})


def alpha(noise: Noise, t: Tensor) -> Tensor:
    """Return the share of a text that is visible at t."""
    return torch.exp(-noise.sigma(t))


def slope(noise: Noise, t: Tensor) -> Tensor:
    """Return the derivative of alpha, which is below 0."""
    return -noise.rate(t) * alpha(noise, t)


def masked(noise: Noise, t: Tensor) -> Tensor:
    """Return 1 - alpha in full precision."""
    return -torch.expm1(-noise.sigma(t))


def weight(noise: Noise, t: Tensor) -> Tensor:
    """Return -alpha' / (1 - alpha), the weight of a masked token in the continuous bound."""
    return noise.rate(t) / torch.expm1(noise.sigma(t))


def encoder_time(fraction: Tensor) -> Tensor:
    """Return the time, float32, at which `DIT.encode` embeds sigma = -log alpha; fraction: 1 - alpha."""
    return (fraction.clamp(max=1 - LEAST_ALPHA) / (1 - ENCODER_EPS)).float()
