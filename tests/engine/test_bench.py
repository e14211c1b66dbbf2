"""The benchmark measures what it says, at sizes that take seconds."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from engine import bench
from engine.bench.child import TASKS
from engine.bench.judge import judge_for, texts_for
from engine.bench.subjects import Oblivious
from engine.bench.timing import SCHEMES, Scheme, TimingOptions, measure_scheme
from engine.models.folded import FoldedDIT
from engine.sampling import oracle
from engine.strategies import REGISTRY, Plan, reads_of


def test_calls_never_exceed_those_of_the_dense_update() -> None:
    lines = list(bench.measure(("calls",), bench.QUICK))
    assert len(lines) == len(REGISTRY) + 1
    # these look at what the network would say of other texts, which the dense update has no counterpart of
    others = [name for name, kind in REGISTRY.items() if reads_of(kind) & {"verified", "ahead"}]
    assert len(others) < len(REGISTRY) / 4
    assert all(0 < line.ours <= line.dense for line in lines if line.case.split(",")[0] not in others)
    assert all(line.ours > line.dense for line in lines if line.case.split(",")[0] in others)


def test_the_whole_batch_cache_is_run_whenever_any_sample_reveals_something() -> None:
    length, steps, count = 64, 256, 4
    options = replace(bench.QUICK, cache_length=length, cache_steps=(steps,), cache_batch=count)
    line = list(bench.measure(("calls",), options))[-1]
    never = 1 - 1 / steps
    assert line.case == "mdlm, L = 64, T = 256, batch 4"
    assert line.dense == pytest.approx(steps * (1 - never ** (length * count)), abs=25)
    assert line.ours == pytest.approx(steps * (1 - never**length), abs=12)


def test_a_judge_is_held_against_the_plain_loop() -> None:
    lines = list(bench.measure(("judge",), bench.QUICK))
    assert [line.case.split(", plain")[1] for line in lines] == [" batches of 1", " batches of 8"]
    assert all(line.dense > 0 and line.ours > 0 and line.target == 1 for line in lines)
    assert lines[0].case.startswith("random GPT-2, 1 blocks of 16, V = 64")


def test_a_judge_that_is_not_here_is_not_fetched_but_replaced_and_named() -> None:
    judge = judge_for(replace(bench.QUICK, judge="nobody/nothing"))
    assert judge.name == "random GPT-2, 1 blocks of 16, V = 64, as nobody/nothing is not on this machine"
    rows = judge.tokens(texts_for(judge, bench.QUICK))
    assert sorted(map(len, rows)) == [2, 8, 14, 20, 26, 32]


def test_the_harness_answers_are_the_samples_that_it_is_held_against() -> None:
    pytest.importorskip("lm_eval", reason="the extra tasks is not installed")
    (line,) = bench.measure(("answers",), bench.QUICK)
    assert line.case == "3 answers of 8 tokens, T = 4, batch 2"
    assert line.dense > 0
    assert line.ours > 0


def test_a_step_is_timed_in_a_child() -> None:
    (line,) = bench.measure(("step",), bench.QUICK)
    assert line.dense > 0
    assert line.ours > 0
    assert line.target is None


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory needs /proc")
def test_memory_and_readers_are_measured_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    # as in a child, without the seconds that it takes to start
    monkeypatch.setattr("engine.bench.parts.in_child", lambda task, _: TASKS[task.kind](task))
    lines = list(bench.measure(("memory", "reading"), bench.QUICK))
    assert [line.part for line in lines] == ["memory", *4 * ["reading"]]
    assert all(line.dense > 0 and line.ours > 0 and line.target is None for line in lines if line.unit != "MiB")


def test_the_readers_that_are_measured_read_all_positions() -> None:
    assert all({"masked", "committed"} <= reads_of(REGISTRY[name]) for name in bench.Options().readers)
    assert ["drawn" in reads_of(REGISTRY[name]) for name in bench.Options().readers] == [False, True]


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
    q = oracle.dense_posterior(p, tokens, Plan(unmask, remask), mask_id=4)
    mask, own = torch.eye(5).double()[4], torch.eye(5).double()[tokens[0, 1]]
    torch.testing.assert_close(q[0, 0], 0.3 * p[0, 0] + 0.7 * mask)
    torch.testing.assert_close(q[0, 1], 0.9 * own + 0.1 * mask)


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="step, memory, reading, demo, calls, judge, answers"):
        list(bench.measure(("speed",), bench.QUICK))
    with pytest.raises(ValueError, match="default, keeping"):
        replace(bench.QUICK, allocators=("mimalloc",)).checked()


def test_ratio_and_target() -> None:
    line = bench.Comparison("step", "x", "s", 10.0, 2.0, target=4.5)
    assert line.ratio == 5
    assert line.met


# -- the timing table

TABLE = TimingOptions(
    bench.NetworkShape(width=32, blocks=1, heads=2, vocab=40, length=24), steps=(16, 48), count=4, batch=2
)
BY_NAME = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)


class Ticking(Oblivious):
    """A network that takes a second, on a clock that nothing else moves."""

    now = 0.0

    def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        self.now += 1
        return super().encode(tokens, t)

    def clock(self) -> float:
        return self.now


def test_every_scheme_is_timed_at_every_number_of_steps() -> None:
    found = list(bench.measure_timing(TABLE))
    assert [(one.scheme, one.steps) for one in found] == [(s.name, t) for s in SCHEMES for t in (16, 48)]
    assert all(one.seconds > 0 and not one.scaled and one.measured == "4 of 4 samples timed" for one in found)
    calls = {(one.scheme, one.steps): one.calls for one in found}
    assert calls["ddpm", 48] == calls["sedd (analytic)", 48] == 49
    assert calls["ours, mdlm", 48] < calls["ddpm_cache", 48] < 49


@BY_NAME
def test_seconds_are_those_of_the_network_calls(scheme: Scheme) -> None:
    for batch in (1, 4):
        model = Ticking()
        (one,) = measure_scheme(scheme, model, replace(TABLE, steps=(48,), batch=batch), model.clock)
        assert one.seconds == model.now
        # side by side samples wait for each other where the cache or the last of them does
        assert one.calls * 4 / batch <= one.seconds <= 49 * 4 / batch


@BY_NAME
def test_the_first_samples_are_scaled_and_it_is_reported(scheme: Scheme) -> None:
    model = Ticking()
    (one,) = measure_scheme(scheme, model, replace(TABLE, steps=(48,), samples=2), model.clock)
    assert one.scaled
    assert one.seconds == 2 * model.now
    assert one.measured == f"2 of 4 samples timed ({model.now:.4g} s), scaled by 2"


@BY_NAME
def test_costs_of_single_steps_come_to_the_whole_run(scheme: Scheme) -> None:
    """With a clock that only the network moves, a batch of the same dice takes exactly as long."""
    for batch in (1, 3):
        options = replace(TABLE, steps=(48,), count=batch, batch=batch)
        whole, part = Ticking(), Ticking()
        (expected,) = measure_scheme(scheme, whole, options, whole.clock)
        (found,) = measure_scheme(scheme, part, replace(options, timed_steps=4), part.clock)
        assert found.seconds == pytest.approx(expected.seconds)
        assert found.calls == expected.calls
        assert found.scaled
        assert found.measured.startswith("scaled: 1 s a ")
        assert f"times {expected.seconds:g} calls" in found.measured


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"steps": (8, 0)}, "steps must be at least 1, not 0"),
        ({"samples": 6}, "samples timed must be 4 at most, not 6"),
        ({"samples": 1}, "samples come in whole batches of 2, not 1"),
        ({"processor": True}, "processor seconds are those of one thread on the CPU"),
        ({"timed_steps": 12}, "timed steps must be fewer than half the length, 24"),
    ],
)
def test_a_table_out_of_range_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        list(bench.measure_timing(replace(TABLE, **change)))
