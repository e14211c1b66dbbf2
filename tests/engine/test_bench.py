"""The benchmark measures what it says, at sizes that take seconds."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from engine import bench, oracle
from engine.models.folded import FoldedDIT
from engine.strategies import REGISTRY, Plan


def test_calls_never_exceed_those_of_the_dense_update() -> None:
    lines = list(bench.measure(("calls",), bench.QUICK))
    assert len(lines) == len(REGISTRY)
    assert all(0 < line.ours <= line.dense for line in lines)


def test_step_and_memory_run_in_children() -> None:
    if sys.platform != "linux":
        pytest.skip("peak memory needs /proc")
    lines = list(bench.measure(("step", "memory"), bench.QUICK))
    assert [line.part for line in lines] == ["step", "memory"]
    assert all(line.dense > 0 and line.target is None for line in lines)


def test_demo_times_both_sides() -> None:
    (line,) = bench.measure(("demo",), bench.QUICK)
    assert line.dense > 0
    assert line.ours > 0


def test_both_sides_are_the_same_network() -> None:
    shape = bench.QUICK.shape
    model, tokens, t = bench.random_model(shape, 0), bench.half_masked(shape, 0), torch.ones(1)
    dense, ours = bench.Unfolded(model, torch.float32), FoldedDIT(model)
    torch.testing.assert_close(
        dense.project(dense.encode(tokens, t)), ours.project(ours.encode(tokens, t)), atol=1e-3, rtol=1e-3
    )


def test_dense_posterior_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(1, 6, 5, generator=generator, dtype=torch.float64)
    p[:, :, 4] = 0
    p /= p.sum(-1, keepdim=True)
    tokens = torch.tensor([[4, 0, 4, 3, 4, 1]])
    unmask, remask = torch.tensor([[0.3]]).double(), torch.tensor([[0.1]]).double()
    q = oracle.posterior(p, tokens, Plan(unmask, remask), mask_id=4)
    mask, own = torch.eye(5).double()[4], torch.eye(5).double()[tokens[0, 1]]
    torch.testing.assert_close(q[0, 0], 0.3 * p[0, 0] + 0.7 * mask)
    torch.testing.assert_close(q[0, 1], 0.9 * own + 0.1 * mask)


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="step, memory, demo, calls"):
        list(bench.measure(("speed",), bench.QUICK))
    with pytest.raises(ValueError, match="default, keeping"):
        replace(bench.QUICK, allocators=("mimalloc",)).checked()


def test_ratio_and_target() -> None:
    line = bench.Comparison("step", "x", "s", 10.0, 2.0, target=4.5)
    assert line.ratio == 5
    assert line.met
