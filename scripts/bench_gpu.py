"""Measure the engine on a GPU within a few minutes, the most important figures first.

    python scripts/bench_gpu.py --minutes 8 --out bench
    python scripts/bench_gpu.py --quick --device cpu         # sizes that take seconds: shows that it runs

Each part has its share of the time that is left when it begins, and stops at its next figure when that is over.
`--skip` and `--only` choose parts.  DIR/bench_gpu.json is written after every part, so that an end from outside loses
one part at most.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from engine.files.atomic import replace
from engine.models import choose_device
from scripts.gpu_parts import PARTS, Part
from scripts.gpu_runs import FULL, QUICK, Figure, GpuBench

FILE = "bench_gpu.json"


@dataclass
class PartReport:
    """What a part gave, and how it ended."""

    part: str
    seconds: float = 0.0
    ended: str = "complete"
    figures: list[Figure] = field(default_factory=list)
    error: str = ""


def run_part(name: str, part: Part, bench: GpuBench, until: float, clock: Callable[[], float]) -> PartReport:
    """Run a part until it has no more figures or its time is over; an error ends it and not the script."""
    began, report = clock(), PartReport(name)
    try:
        for figure in part.run(bench):
            report.figures.append(figure)
            print(line(name, figure), flush=True)
            if clock() >= until:
                report.ended = "out of time"
                break
    except Exception as error:  # noqa: BLE001 - whatever a part of the machine cannot do, the others are still measured
        report.ended, report.error = f"{type(error).__name__}: {error}", traceback.format_exc()
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
    report.seconds = clock() - began
    return report


def line(part: str, figure: Figure) -> str:
    """Return a figure as one line of the table."""
    target = ""
    if figure.target is not None:
        sign, verdict = ("<=" if figure.at_most else ">="), "met" if figure.met else "MISSED"
        target = f"target {sign} {figure.target:g} {verdict}"
    return f"{part:<9} {figure.case:<58} {figure.value:>12.5g} {figure.unit:<10} {target:<24} {figure.note}".rstrip()


def run_parts(
    names: Sequence[str], bench: GpuBench, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Iterator[PartReport]:
    """Yield the report of each part; what one leaves of its time goes to those after it."""
    end = clock() + seconds
    for i, name in enumerate(names):
        left, part = end - clock(), PARTS[name]
        if left <= 0:
            yield PartReport(name, ended="not begun: out of time")
            continue
        share = part.weight / sum(PARTS[other].weight for other in names[i:])
        yield run_part(name, part, bench, clock() + share * left, clock)


def document(bench: GpuBench, reports: Sequence[PartReport]) -> dict[str, object]:
    here = {"device": bench.device_name, "torch": torch.__version__, "python": platform.python_version()}
    return {"machine": here, "quick": bench.sizes == QUICK, "parts": [asdict(report) for report in reports]}


def chosen(only: Sequence[str], skip: Sequence[str]) -> list[str]:
    """Return the parts to run, in the order of PARTS; raises ValueError for an unknown name."""
    for name in (*only, *skip):
        if name not in PARTS:
            raise ValueError(f"unknown part {name!r}: choose among {', '.join(PARTS)}")
    return [name for name in PARTS if name not in skip and (not only or name in only)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; returns 1 if a part failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="sizes that take seconds on a processor")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="*", default=[], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--skip", nargs="*", default=[], metavar="PART")
    args = parser.parse_args(arguments)
    try:
        names, device = chosen(args.only, args.skip), choose_device(args.device)
    except ValueError as error:
        parser.error(str(error))
    bench, reports = GpuBench(device, QUICK if args.quick else FULL), []
    print(f"{bench.device_name}; torch {torch.__version__}; {', '.join(names)} in {args.minutes:g} min", flush=True)
    for report in run_parts(names, bench, 60 * args.minutes):
        reports.append(report)
        print(f"{report.part:<9} {report.ended}, {report.seconds:.1f} s", flush=True)
        if report.error:
            print(report.error, flush=True)
        if args.out is not None:
            args.out.mkdir(parents=True, exist_ok=True)
            replace(args.out / FILE, json.dumps(document(bench, reports), indent=1).encode())
    return int(any(report.error for report in reports))


if __name__ == "__main__":
    raise SystemExit(main())
