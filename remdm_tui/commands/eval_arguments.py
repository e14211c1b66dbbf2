"""The options of `eval` besides the model and how it is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COUNT = 64
"""Samples unless --count or the preset says how many."""
JUDGE, OFFLINE_JUDGE, NONE = "gpt2-large", "demo-judge", "none"


@dataclass(frozen=True)
class TaskArguments:
    """The tasks of lm-evaluation-harness that `eval` asks, and how."""

    names: tuple[str, ...]
    num_fewshot: int | None = None
    limit: int | None = None
    multiturn: bool = False
    system_prompt: str | None = None
    draws: int | None = None
    runs_code: bool = False
    """whether tasks may run what the model writes"""


@dataclass(frozen=True)
class EvalArguments:
    """What `eval` measures and where it runs; None is the default of the preset, or of the command."""

    out: Path
    count: int | None = None
    predictor: str | None = None
    judge: str | None = None
    judge_device: str | None = None
    judge_dtype: str = "float32"
    features: str | None = None
    references: str | None = None
    references_split: str = "validation"
    references_count: int | None = None
    conventions: tuple[str, ...] = ("reference", "standard")
    reference_batch: int = 1
    sweep: tuple[str, ...] = ()
    devices: int | None = None
    nodes: int = 1
    rescore: bool = False
    quiet: bool = False
    as_json: bool = False
    tasks: TaskArguments | None = None
    """in place of samples and their figures"""
