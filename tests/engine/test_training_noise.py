"""Noise schedules against their definitions and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from engine.models.dit import DIT, DITConfig
from engine.training.config_file import read_config
from engine.training.noise import NOISES, NoiseSection, alpha, encoder_time, make_noise, masked, slope, weight

EPS, LOW, HIGH = 0.02, 0.05, 6.0
BY_DEFINITION = {
    "loglinear": lambda t: 1 - (1 - EPS) * t,
    "cosine": lambda t: EPS + (1 - EPS) * math.cos(math.pi * t / 2),
    "cosine-squared": lambda t: EPS + (1 - EPS) * math.cos(math.pi * t / 2) ** 2,
    "linear": lambda t: math.exp(-(LOW + t * (HIGH - LOW))),
    "geometric": lambda t: math.exp(-(LOW ** (1 - t)) * HIGH**t),
}
TIMES = torch.linspace(0.01, 0.99, 23, dtype=torch.float64)


def made(name: str) -> object:
    return make_noise(NoiseSection(name=name, eps=EPS, sigma_min=LOW, sigma_max=HIGH))


def test_every_schedule_has_its_definition_here() -> None:
    assert list(NOISES) == list(BY_DEFINITION)


@pytest.mark.parametrize("name", NOISES)
def test_alpha_is_as_defined(name: str) -> None:
    ends = torch.tensor([0.0, *TIMES.tolist(), 1.0], dtype=torch.float64)
    expected = [BY_DEFINITION[name](t) for t in ends.tolist()]
    assert alpha(made(name), ends).tolist() == pytest.approx(expected, rel=1e-12)
    assert masked(made(name), ends).tolist() == pytest.approx([1 - a for a in expected], abs=1e-12)


@pytest.mark.parametrize("name", NOISES)
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    noise, step = made(name), 1e-6
    expected = (alpha(noise, TIMES + step) - alpha(noise, TIMES - step)) / (2 * step)
    torch.testing.assert_close(slope(noise, TIMES), expected, rtol=1e-7, atol=1e-8)
    assert (expected < 0).all()
    grown = (noise.sigma(TIMES + step) - noise.sigma(TIMES - step)) / (2 * step)
    torch.testing.assert_close(noise.rate(TIMES), grown, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(weight(noise, TIMES), -expected / (1 - alpha(noise, TIMES)), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", NOISES)
def test_a_time_is_found_by_its_sigma(name: str) -> None:
    noise = made(name)
    torch.testing.assert_close(noise.time(noise.sigma(TIMES)), TIMES, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NOISES)
def test_little_noise_keeps_its_digits(name: str) -> None:
    noise = make_noise(NoiseSection(name=name, sigma_min=1e-15))
    t = torch.tensor([1e-9], dtype=torch.float64)
    assert float(masked(noise, t)) == pytest.approx(float(noise.sigma(t)), rel=1e-6)
    assert 0 < float(masked(noise, t)) < 1e-7


def test_a_network_gets_sigma_whatever_the_schedule() -> None:
    model = DIT(DITConfig(8, 8, 1, 1, 4, 8, 7, time_conditioning=True))
    sigma = torch.tensor([1e-3, 0.1, 1.0, 6.0, 10.0])
    found = model.conditioning(encoder_time(-torch.expm1(-sigma.double())))
    expected = torch.nn.functional.silu(model.sigma_map(sigma))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert torch.isfinite(model.conditioning(encoder_time(torch.ones(1, dtype=torch.float64)))).all()


def test_the_default_is_the_reference_implementations() -> None:
    noise = make_noise(read_config("").noise)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    assert masked(noise, t).tolist() == pytest.approx([0, 0.4995, 0.999])
    assert weight(noise, t[1:]).tolist() == pytest.approx([2, 1])
