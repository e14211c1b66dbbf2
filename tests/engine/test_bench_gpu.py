"""The script for a GPU runs through on a processor, so that no slip in it costs the minutes that a GPU is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import torch

from scripts import bench_gpu
from scripts.gpu_parts import PARTS, Part
from scripts.gpu_runs import QUICK, Figure, GpuBench


def test_every_part_runs_and_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # a terminal takes half a minute to start and stop; what it does is imported from `scripts/bench_terminal.py`
    quick = ["--quick", "--device", "cpu", "--minutes", "60", "--skip", "watching", "--out", str(tmp_path)]
    assert bench_gpu.main(quick) == 0, capsys.readouterr().out
    found = json.loads((tmp_path / bench_gpu.FILE).read_text())
    assert found["quick"] is True
    assert [part["part"] for part in found["parts"]] == [name for name in PARTS if name != "watching"]
    assert {part["ended"] for part in found["parts"]} == {"complete"}
    laws = next(part for part in found["parts"] if part["part"] == "laws")
    assert all(figure["value"] >= figure["target"] for figure in laws["figures"])
    assert "remdm-conf: ids equal those of the CPU" in capsys.readouterr().out


def test_a_part_stops_when_its_time_is_over_and_an_error_ends_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(bench: GpuBench) -> Iterator[Figure]:
        for i in count():
            yield Figure(f"figure {i}", i, "s")

    def broken(bench: GpuBench) -> Iterator[Figure]:
        yield Figure("before", 1.0, "s")
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(bench_gpu, "PARTS", {"endless": Part(endless, 1), "broken": Part(broken, 3)})
    clock = map(float, count())
    bench = GpuBench(torch.device("cpu"), QUICK)
    first, second = bench_gpu.run_parts(["endless", "broken"], bench, 40, lambda: next(clock))
    assert (first.ended, len(first.figures)) == ("out of time", 9)
    assert (second.ended, len(second.figures)) == ("RuntimeError: no such kernel", 1)
    assert "Traceback" in second.error
    (late,) = bench_gpu.run_parts(["endless"], bench, 0, lambda: next(clock))
    assert late.ended == "not begun: out of time"


def test_targets_are_bounds_from_above_or_below() -> None:
    assert (Figure("", 2, "", 3).met, Figure("", 2, "", 3, at_most=True).met, Figure("", 2, "").met) == (
        False, True, None,
    )  # fmt: skip
    assert bench_gpu.line("steps", Figure("batch 1", 2, "1/s", 3)).endswith("target >= 3 MISSED")


def test_parts_are_chosen_by_name() -> None:
    assert bench_gpu.chosen(["steps", "device"], []) == ["device", "steps"]
    assert "laws" not in bench_gpu.chosen([], ["laws"])
    with pytest.raises(ValueError, match="unknown part 'speed': choose among device"):
        bench_gpu.chosen(["speed"], [])
