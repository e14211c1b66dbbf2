"""Reads an evaluation's results for a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from engine.evaluation.results import RESULTS, Results
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.records import Evaluated, Evaluation, Terms

LONGEST = 40
"""Characters of the value of a setting in a name or a table."""
NOT_TRAITS = {"strategy", "knobs", "steps", "seed", "count"}
"""Entries of `sampling` that are fields of an Evaluation, or must be equal in a group."""


class SamplingEntries(msgspec.Struct, frozen=True):
    """The entries of `sampling` that every evaluation has."""

    strategy: str
    steps: Annotated[int, msgspec.Meta(ge=1)]
    seed: int
    count: Annotated[int, msgspec.Meta(ge=1)]
    knobs: dict[str, Any] = {}


class ScoringEntries(msgspec.Struct, frozen=True):
    """The entries of `scoring` that a report needs."""

    references: str | None = None
    references_split: str | None = None
    judge_dtype: str | None = None
    together: int = 1


class EvalSettings(msgspec.Struct, frozen=True):
    """The settings by part; other entries of the parts are kept as they are."""

    model: dict[str, Any]
    sampling: dict[str, Any]
    scoring: ScoringEntries = ScoringEntries()


Settings = TypeVar("Settings", bound=msgspec.Struct)


def evaluation_of(home: Path, results: Results, conventions: str | None = None) -> Evaluation:
    """Return the evaluation in a directory. Raises ValueError where the results lack what a report needs.

    conventions: the ones whose figures are shown; None: the primary ones.
    """
    name = conventions or results.primary
    if name not in results.metrics or name not in results.conventions:
        raise ValueError(f"{home} has no figures under the conventions {name!r}, only {', '.join(results.metrics)}")
    settings = converted(home, results.settings, EvalSettings)
    one = evaluated(home, settings)
    return Evaluation(
        **vars(one), results=results, terms=_terms(results, name, settings.scoring, settings.sampling["count"])
    )


def converted(home: Path, settings: dict[str, Any], kind: type[Settings]) -> Settings:
    """Return the settings of results. Raises ValueError where they lack what a report needs."""
    try:
        return msgspec.convert(settings, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{home / RESULTS} has settings that no evaluation writes: {error}") from error


def evaluated(home: Path, settings: EvalSettings) -> Evaluated:
    """Return the settings of an evaluation by their part in a report. Raises ValueError."""
    sampling = converted(home, settings.sampling, SamplingEntries)
    model = {"model" if k == "name" else f"model {k}": v for k, v in settings.model.items() if k != "device"}
    rest = {k: v for k, v in settings.sampling.items() if k not in NOT_TRAITS}
    return Evaluated(
        home, sanitize(sampling.strategy, cells=True), sampling.steps, sampling.seed, _formatted(sampling.knobs),
        _formatted(model | rest),
    )  # fmt: skip


def _terms(results: Results, conventions: str, scoring: ScoringEntries, count: int) -> Terms:
    gen_ppl, mauve = results.metrics[conventions].gen_ppl, results.metrics[conventions].mauve
    references = counted(mauve.references, "text", form=",") if mauve else "none"
    if mauve and scoring.references:
        references += f" of {format_value(scoring.references)}"
        references += f", {format_value(scoring.references_split)}" if scoring.references_split else ""
    judge = "none" if gen_ppl is None else sanitize(gen_ppl.judge, cells=True)
    if gen_ppl and scoring.judge_dtype:
        judge += f" in {format_value(scoring.judge_dtype)}"
    return Terms(
        conventions=sanitize(conventions, cells=True),
        sentences=tuple(sanitize(sentence, cells=True) for sentence in results.conventions[conventions]),
        samples=count,
        judge=judge,
        judge_limit=gen_ppl.limit if gen_ppl else 0,
        featurizer=sanitize(mauve.featurizer, cells=True) if mauve else "none",
        references=references,
        together=scoring.together,
    )


def format_value(value: Any) -> str:
    """Return the value of a setting in at most LONGEST sanitized characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = sanitize(value if isinstance(value, str) else msgspec.json.encode(value).decode(), cells=True)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _formatted(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that are not off, as text by name."""
    return {
        sanitize(name, cells=True): format_value(value)
        for name, value in values.items()
        if not (value is None or value is False or value == "")
    }
