"""Directories as `eval` leaves them, with figures that follow from the strategy and the number of steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.results import (
    RESULTS,
    SAMPLES,
    Calls,
    Figure,
    GenPPL,
    Judged,
    MauveResult,
    Metrics,
    Results,
    SampleLine,
    Timing,
)  # fmt: skip

BASE = {"mdlm": 61.0, "remdm-cap": 43.0, "remdm-loop": 42.0, "forward-backward": 45.0, "dfm": 38.0}
UNJUDGED = {"reference": Metrics(None, None)}
"""Metrics without gen PPL and MAUVE."""
SENTENCES = ("Every text counts.", "MAUVE is the mean over the k-means seeds 1, 2, 3.")


def results(strategy: str = "mdlm", steps: int = 128, **changes: Any) -> Results:
    """Return results.  changes: seed, count, judge, gen_ppl, mauve, knobs, settings of sampling, or fields."""
    seed, count = changes.pop("seed", 1), changes.pop("count", 5000)
    knobs, judge = changes.pop("knobs", {}), changes.pop("judge", "gpt2-large")
    sampling = changes.pop("sampling", {})
    gain = 0.0 if strategy == "mdlm" else math.log2(steps / 128)
    perplexity = changes.pop("perplexity", BASE.get(strategy, 50.0) - 2 * math.log2(steps / 64) - 3 * gain + seed / 10)
    place = list(BASE).index(strategy) if strategy in BASE else 0
    entropy = 5.52 - 0.01 * math.log2(steps / 64) - (0.04 + 0.005 * place) * gain
    mauve = changes.pop("mauve", min(0.95, 0.015 + 0.02 * place + (0.09 + 0.01 * place) * gain + seed / 1000))
    calls = min(steps, 649.3) if strategy == "mdlm" else 0.9 * steps
    seconds = calls * (0.0125 if strategy != "dfm" else 0.014)
    metrics = {
        "reference": Metrics(
            GenPPL(Figure(perplexity, perplexity - 0.6, perplexity + 0.7), judge, count * 900, count, 0, 0, 1024),
            None if mauve is None else MauveResult(
                mauve, 0.012, {"1": mauve, "2": mauve}, judge, count, count, 0, max(2, count // 10),
                None if count >= 1000 else f"MAUVE of {count} texts is not comparable with MAUVE of 1,000 or more",
            ),
        )
    }  # fmt: skip
    fields: dict[str, Any] = {
        "format": 1,
        "version": "0.1.0",
        "settings": {
            "model": {"name": "kuleshov-group/mdlm-owt", "device": "cuda", "dtype": "bfloat16"},
            "sampling": {
                "strategy": strategy, "knobs": knobs, "top_p": 0.9, "temperature": 1.0, "nucleus": "exclusive",
                "draw": "inverse-cdf", "steps": steps, "length": 1024, "prompt": None, "block_length": None,
                "stride": None, "strides": None, "seed": seed, "count": count, **sampling,
            },
            "scoring": {"judge": judge, "features": None, "references": "openwebtext-split", "together": 1},
        },
        "primary": "reference",
        "gen_ppl": perplexity,
        "entropy": entropy,
        "mauve": mauve,
        "network_calls": calls,
        "seconds": seconds * count,
        "samples": count,
        "failed": (),
        "entropy_interval": Figure(entropy, entropy - 0.004, entropy + 0.004),
        "distinct": {"1": 0.11, "2": 0.52, "3": 0.81},
        "repetition": {"4": 0.021},
        "calls": Calls(int(calls * count), Figure(calls, calls - 1, calls + 1), steps, 1 - calls / steps),
        "metrics": metrics,
        "conventions": {"reference": SENTENCES},
        "timing": Timing(seconds * count, seconds, 1024 / seconds, 60.0, 1, 1, "NVIDIA A100"),
    }  # fmt: skip
    return Results(**fields | changes)


def write(home: Path, made: Results, texts: tuple[str, ...] = ()) -> Path:
    """Write the directory of an evaluation, with a sample for each text."""
    home.mkdir(parents=True, exist_ok=True)
    (home / RESULTS).write_bytes(msgspec.json.format(msgspec.json.encode(made)))
    lines = [
        SampleLine(
            number,
            1,
            text,
            tuple(range(8)),
            96,
            5.31,
            0.02,
            {"reference": Judged(310.0, 100), "standard": Judged(0, 0)},
        )
        for number, text in enumerate(texts)
    ]
    (home / SAMPLES).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return home


def sweep(
    root: Path, strategies: tuple[str, ...] = ("mdlm", "remdm-cap"), steps: tuple[int, ...] = (128, 256, 512)
) -> Path:
    """Write a directory of evaluations, as `eval --sweep` names them."""
    for strategy in strategies:
        for number in steps:
            write(root / f"strategy={strategy},steps={number}", results(strategy, number), ("A text.", "Another text."))
    return root
