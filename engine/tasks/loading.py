"""Tasks of lm-evaluation-harness by name or from a YAML file, and the errors of asking for them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

from engine.tasks.untrusted import (
    UntrustedError,
    check_data,
    check_runs_no_code,
    code_eval_allowed,
    nothing_run,
    refusal_of_code,
)

NEAREST = 3
"""Names that are offered in place of an unknown one."""
FILES = (".yaml", ".yml")
FEWSHOT_SEED = 1234
"""The seed by which the harness chooses examples by default."""


COUNTDOWN = {path.stem: str(path) for path in sorted((Path(__file__).parent / "countdown").glob("countdown_*.yaml"))}
SHIPPED = {"countdown": tuple(COUNTDOWN.values())} | {name: (path,) for name, path in COUNTDOWN.items()}
"""Tasks of this package, by name: their files."""


def harness_version() -> str:
    """Return the version of lm-evaluation-harness.  Raises ModuleNotFoundError that says what to install."""
    try:
        import lm_eval
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tasks need the package lm-eval: pip install 'remdm-tui[tasks]'", name=error.name
        ) from error
    return str(lm_eval.__version__)


def load_tasks(
    names: Sequence[str], num_fewshot: int | None = None, trusted: bool = False, runs_code: bool = False
) -> dict[str, Any]:
    """Return tasks by name; a group is all of its tasks.

    names: registered ones, those of SHIPPED, or YAML files.  num_fewshot: examples in each prompt; None: as many as
    the task says.  trusted: whether code that a file names may run; the harness' own and ours may.  runs_code: whether
    tasks may run what the model writes.  Raises ValueError for a task that is unknown, runs code without consent, or
    whose data is missing.
    """
    harness_version()
    from lm_eval.tasks import TaskManager

    # the harness says of functions that make documents that they may be given arguments
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    names = [file for name in names for file in SHIPPED.get(name, (name,))]
    is_file = [Path(name).suffix in FILES for name in names]
    missing = next((name for name, yes in zip(names, is_file, strict=True) if yes and not Path(name).is_file()), None)
    if missing is not None:
        raise ValueError(f"{missing}: there is no such file of a task")
    # the names of all tasks take seconds to list
    manager = TaskManager(include_defaults=not all(is_file))
    found: dict[str, Any] = {}
    for name, yes in zip(names, is_file, strict=True):
        if not yes and name not in manager.task_index:
            near = get_close_matches(name, [*manager.all_tasks, *SHIPPED], NEAREST, 0.0)
            raise ValueError(f"unknown task {name!r}: the nearest are {', '.join(near)}")
        if yes and not trusted:
            check_data(Path(name))
        if yes and not runs_code:
            check_runs_no_code(Path(name))
        with nothing_run(trusted, is_file=yes), code_eval_allowed(runs_code):
            found |= _loaded(manager, name)
    for task in found.values():
        if runs_model_code(task) and not runs_code:
            raise UntrustedError(refusal_of_code(task.task_name))
        if num_fewshot is not None:
            task.set_config(key="num_fewshot", value=num_fewshot)
        task.set_fewshot_seed(seed=FEWSHOT_SEED)
    return found


def runs_model_code(task: Any) -> bool:
    """Return whether a task's metrics run what the model writes."""
    return bool(getattr(task, "UNSAFE_CODE", False))


def _loaded(manager: Any, name: str) -> dict[str, Any]:
    try:
        return dict(manager.load([name])["tasks"])
    except (KeyboardInterrupt, SystemExit, UntrustedError):
        raise
    except Exception as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise ValueError(f"the task {name} or its data cannot be read: {reason}") from error


def source(name: str) -> str:
    """Return a name by which a task is found again from any directory."""
    return str(Path(name).resolve()) if Path(name).suffix in FILES else name


def data_digest(task: Any) -> str:
    """Return a digest of all documents that a task asks about, and of those that its examples are taken from."""
    found = hashlib.sha256()
    examples = task.fewshot_docs() if task.config.num_fewshot else None
    for doc in chain(task.eval_docs, examples or ()):
        found.update(json.dumps(doc, sort_keys=True, default=str).encode(errors="surrogatepass") + b"\n")
    return found.hexdigest()[:16]


def task_digest(task: Any) -> str:
    """Return a digest of a task's configuration."""
    config = json.dumps(task.dump_config(), sort_keys=True, default=str)
    return hashlib.sha256(config.encode()).hexdigest()[:16]
