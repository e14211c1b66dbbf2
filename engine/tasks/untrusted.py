"""Task files are data from elsewhere: nothing that they name is run without consent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.records import HOW_TO_CONSENT

ALLOW_CODE = "--allow-code-execution"
CODE_EVAL = "HF_ALLOW_CODE_EVAL"
PICKLED = ("pandas",)
"""Kinds of data whose reading runs what the file says."""


class UntrustedError(ValueError):
    """A task file would run code."""


@contextmanager
def nothing_run(trusted: bool, is_file: bool = True) -> Iterator[None]:
    """Refuse functions and metrics that task files name, but for the harness' and ours, and render templates in a
    sandbox for good.

    trusted: whether they may be imported.  is_file: whether the task is in a file, not the harness' own.  Raises
    UntrustedError inside the context.
    """
    import lm_eval.api.metrics
    import lm_eval.api.task
    import lm_eval.utils
    from jinja2.sandbox import SandboxedEnvironment
    from lm_eval.api.registry import metric_registry
    from lm_eval.tasks import _yaml_loader

    plain = lm_eval.utils.env
    if not isinstance(plain, SandboxedEnvironment):
        sandbox = SandboxedEnvironment(
            loader=plain.loader, undefined=plain.undefined, keep_trailing_newline=plain.keep_trailing_newline
        )
        sandbox.filters |= plain.filters
        lm_eval.utils.env = sandbox
    ours = [Path(lm_eval.__file__).parent.resolve(), Path(__file__).parent.resolve()]
    imported = _yaml_loader._import_func_in_yml

    def refuse(name: str, home: Path) -> Any:
        if not trusted and not any(map(home.resolve().is_relative_to, ours)):
            raise UntrustedError(f"a task in {home} names Python code, {name}: {HOW_TO_CONSENT}")
        return imported(name, home)

    found = lm_eval.api.task.get_metric

    def metric(name: str, hf_evaluate_metric: bool = False) -> Any:
        is_known = name in metric_registry and not hf_evaluate_metric
        # any other is a script: that in the directory of this name here, else what the hub has under it
        if not trusted and not is_known and (is_file or Path(name).exists()):
            raise UntrustedError(f"the metric {name} of a task is Python code: {HOW_TO_CONSENT}")
        return found(name, hf_evaluate_metric)

    _yaml_loader._import_func_in_yml = refuse
    lm_eval.api.task.get_metric = metric
    try:
        yield
    finally:
        _yaml_loader._import_func_in_yml = imported
        lm_eval.api.task.get_metric = found


@contextmanager
def code_eval_allowed(allowed: bool) -> Iterator[None]:
    """Let the metric `code_eval` be loaded, which tasks try out on a program of their own when they are read."""
    if not allowed or CODE_EVAL in os.environ:
        yield
        return
    os.environ[CODE_EVAL] = "1"
    try:
        yield
    finally:
        del os.environ[CODE_EVAL]


def refusal_of_code(name: str) -> str:
    """Return why a task is refused."""
    return (
        f"the task {name} runs code that the model has written: add {ALLOW_CODE} to run it, in a process with limits "
        "of time and memory, which are no protection against malice"
    )


def check_runs_no_code(path: Path) -> None:
    """Raise UntrustedError if a task file, or one that it includes, says that it runs what the model writes."""
    if any(value is not False for key, value in _entries(_config(path)) if key == "unsafe_code"):
        raise UntrustedError(refusal_of_code(path.stem))


def check_data(path: Path) -> None:
    """Raise UntrustedError if a task file, or one that it includes, names data whose reading runs code."""
    entries = list(_entries(_config(path)))
    if any(key == "trust_remote_code" and value for key, value in entries):
        raise UntrustedError(f"{path} wants the code of its data to be run: {HOW_TO_CONSENT}")
    kinds = {str(value) for key, value in entries if key == "dataset_path"}
    if found := kinds.intersection(PICKLED):
        raise UntrustedError(f"{path} has data of the kind {found.pop()}, which may run code: {HOW_TO_CONSENT}")


def _config(path: Path) -> object:
    """Return what a task file says, without running anything; None for one that loading will refuse."""
    from lm_eval.tasks._yaml_loader import load_yaml
    from yaml import YAMLError

    try:
        return load_yaml(path, resolve_func=False)
    except (OSError, ValueError, TypeError, RecursionError, YAMLError):
        return None


def _entries(config: object) -> Iterator[tuple[object, object]]:
    """Yield every key with its value, however deep."""
    if isinstance(config, dict):
        for key, value in config.items():
            yield key, value
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)
