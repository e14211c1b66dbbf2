"""The strategies, by name.  A new one is one file and one line here; packages and a person's file add others."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.files.digests import file_digest
from engine.files.regular import regular_file
from engine.records import Knob, StrategyInfo
from engine.strategies.base import (
    Candidates,
    Plan,
    Prediction,
    Strategy,
    View,
    asks_network,
    describe,
    knob,
    posterior,
    reads_of,
    values,
)
from engine.strategies.credit import CreditThreshold
from engine.strategies.dfm import Dfm
from engine.strategies.dream_origin import DreamOrigin
from engine.strategies.eb import Eb
from engine.strategies.entropy import EntropyOrder
from engine.strategies.factor import Factor
from engine.strategies.files import Installed, belongs_with, installed
from engine.strategies.forward_backward import ForwardBackward
from engine.strategies.hierarchy import Hierarchy
from engine.strategies.info_gain import InfoGain
from engine.strategies.informed_corrector import InformedCorrector
from engine.strategies.klass import Klass
from engine.strategies.left_to_right import LeftToRight
from engine.strategies.llada21_edit import Llada21Edit
from engine.strategies.llada_remdm import LladaRemdm
from engine.strategies.low_confidence import LowConfidence
from engine.strategies.mdlm import Mdlm
from engine.strategies.p2 import P2
from engine.strategies.pc_sampler import PcSampler
from engine.strategies.prism import Prism
from engine.strategies.random_order import RandomOrder
from engine.strategies.rdm import Rdm
from engine.strategies.remdm_cap import RemdmCap
from engine.strategies.remdm_conf import RemdmConf
from engine.strategies.remdm_loop import RemdmLoop
from engine.strategies.remdm_rescale import RemdmRescale
from engine.strategies.remedi import Remedi
from engine.strategies.saber import Saber
from engine.strategies.slow_fast import SlowFast
from engine.strategies.sources import sources
from engine.strategies.ssd_lm import SsdLm
from engine.strategies.t2m import T2m
from engine.strategies.threshold import Threshold
from engine.strategies.topk_margin import TopkMargin
from engine.strategies.wino import Wino

REGISTRY: dict[str, type[Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Mdlm,
        RemdmCap,
        RemdmRescale,
        RemdmConf,
        RemdmLoop,
        ForwardBackward,
        Dfm,
        LowConfidence,
        LeftToRight,
        TopkMargin,
        EntropyOrder,
        RandomOrder,
        DreamOrigin,
        P2,
        Rdm,
        Eb,
        Threshold,
        Factor,
        Klass,
        Saber,
        Hierarchy,
        PcSampler,
        SlowFast,
        CreditThreshold,
        LladaRemdm,
        T2m,
        Llada21Edit,
        InformedCorrector,
        Wino,
        InfoGain,
        Prism,
        Remedi,
    )
}

SIMPLEX: dict[str, type[Strategy]] = {SsdLm.name: SsdLm}
"""What needs a model that reads points on the simplex of the vocabulary: no rule over masks, which any model serves."""

__all__ = [
    "REGISTRY", "SIMPLEX", "Candidates", "Plan", "Prediction", "Strategy", "View", "asks_network", "available",
    "catalogue", "describe", "knob", "knob_files_digest", "make", "make_strategy", "others", "posterior", "reads_of",
    "source_digest", "values",
]  # fmt: skip


@lru_cache(maxsize=1)
def others() -> Installed:
    """Return the strategies of installed packages; these are imported at the first call."""
    return installed({**REGISTRY, **SIMPLEX})


def available() -> dict[str, type[Strategy]]:
    """Return all strategies by name, those of installed packages last."""
    return {**REGISTRY, **SIMPLEX, **others().kinds}


def source_digest(name: str) -> str | None:
    """Return the digest of the files that define another package's strategy; None for ours, which the version names.

    These are its module's and those of the modules of its own that it imports (`engine.strategies.sources`).
    """
    kind = None if name in REGISTRY else others().kinds.get(name)
    path = None if kind is None else getattr(sys.modules.get(kind.__module__), "__file__", None)
    if kind is None or path is None:
        return None
    files = sources(Path(path), kind.__module__, belongs_with(kind.__module__))
    lines = [f"{module} {file_digest(file)}" for module, file in files.items()]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def knob_files_digest(name: str, knobs: Mapping[str, Knob]) -> str | None:
    """Return the digest of the files that knobs of a strategy name; None where none does.

    Raises ValueError for one that cannot be read.
    """
    kind = REGISTRY[name] if name in REGISTRY else available().get(name)
    lines = []
    for info in () if kind is None else describe(kind).knobs:
        value = knobs.get(info.name, info.default)
        # what is no word of such a knob is the name of a file
        if value in info.choices or not any(choice.startswith("*.") for choice in info.choices):
            continue
        path = regular_file(str(value))
        try:
            lines.append(f"{info.name} {file_digest(path)}")
        except OSError as error:
            raise ValueError(f"{path}, the {info.name} of {name}, cannot be read: {error.strerror}") from error
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else None


def make_strategy(name: str, /, **knobs: Any) -> Strategy:
    """Return a strategy by name, with its knobs.  Raises ValueError that lists the valid names, knobs or range."""
    return make(REGISTRY if name in REGISTRY else available(), name, knobs)


def make(kinds: Mapping[str, type[Strategy]], name: str, knobs: Mapping[str, Any]) -> Strategy:
    """Return a strategy of `kinds`, as `make_strategy` does."""
    if name not in kinds:
        raise ValueError(f"unknown strategy {name!r}: choose one of {', '.join(kinds)}")
    valid = [info.name for info in describe(kinds[name]).knobs]
    for given in knobs:
        if given not in valid:
            has = f"its knobs are {', '.join(valid)}" if valid else "it has none"
            raise ValueError(f"{name} has no knob {given!r}: {has}")
    return kinds[name](**knobs)


def catalogue() -> tuple[StrategyInfo, ...]:
    """Return all strategies, as plain data."""
    return tuple(describe(strategy) for strategy in available().values())
