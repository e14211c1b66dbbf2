"""The file of an evaluation's settings, by which a directory is recognised when the evaluation is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from engine.evaluation.plan import EvalPlan
from engine.files.atomic import replace
from engine.files.jsonl import DAMAGED
from engine.files.regular import regular_file

SETTINGS = "settings.json"
SETTINGS_FORMAT = 2
"""The first format took fingerprints of the ends of files alone."""


Plan = TypeVar("Plan", bound=msgspec.Struct)


class _SettingsFile(msgspec.Struct, Generic[Plan], frozen=True):
    """settings.json."""

    format: int
    plan: Plan


class _Format(msgspec.Struct, frozen=True):
    """The format number of a JSON file."""

    format: int


def json_format(path: Path) -> int:
    """Return the format number of a JSON file.  Raises an error of DAMAGED, or OSError, if it has no such number."""
    return msgspec.json.decode(regular_file(path).read_bytes(), type=_Format).format


def read_plan(home: Path, kind: type[Plan]) -> Plan | None:
    """Return the plan in settings.json; None for a new directory.  Raises ValueError if it is damaged or later."""
    path = home / SETTINGS
    if not path.exists():
        return None
    try:
        kept = msgspec.json.decode(regular_file(path).read_bytes(), type=_SettingsFile[kind])  # type: ignore[valid-type]
    except DAMAGED as error:
        raise ValueError(f"{path} is not a settings file: {error}") from error
    if kept.format > SETTINGS_FORMAT:
        raise ValueError(f"{path} has format {kept.format}, and this version reads {SETTINGS_FORMAT} at most")
    return kept.plan


def write_plan(home: Path, plan: msgspec.Struct) -> None:
    """Write settings.json in the present format."""
    data = msgspec.json.format(msgspec.json.encode(_SettingsFile(SETTINGS_FORMAT, plan)), indent=2)
    replace(home / SETTINGS, data + b"\n")


def with_new_identities(was: EvalPlan, now: EvalPlan) -> EvalPlan:
    """Return the plan of an earlier version with the identities of this one."""
    model = {
        name: getattr(now.model, name) for name in ("fingerprint", "tokenizer_fingerprint", "path", "tokenizer_path")
    }
    scoring = {name: getattr(now.scoring, name) for name in ("judge_fingerprint", "features_fingerprint")}
    return msgspec.structs.replace(
        was,
        model=msgspec.structs.replace(was.model, **model),
        sampling=msgspec.structs.replace(
            was.sampling, strategy_digest=now.sampling.strategy_digest, files_digest=now.sampling.files_digest
        ),
        scoring=msgspec.structs.replace(was.scoring, **scoring),
    )
