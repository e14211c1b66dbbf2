"""Handing a command to Slurm by submitit: the same command, gone on with whenever the job is preempted or times out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remdm_tui.asked import parsed

NAMES = {"time": "timeout_min", "nodes": "nodes", "devices": "tasks_per_node", "cpus": "cpus_per_task", "mem": "mem_gb",
         "name": "name"}  # fmt: skip
"""What submitit calls these; anything else is an option of sbatch."""
LOGS = "slurm"
"""Where in the run's directory the jobs' own output goes."""


class Job:
    """What runs in every task; submitit sends it again when Slurm takes the machine away."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = [*command]

    def __call__(self) -> int:
        ended = subprocess.run([sys.executable, "-m", "remdm_tui", *self.command], check=False).returncode
        if ended:
            raise RuntimeError(f"remdm-tui ended with status {ended}: see the log")
        return ended

    def checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(arguments: Sequence[str], text: str, home: Path) -> str:
    """Send the command, without --slurm, as a job; a sentence that says which.

    text: `nodes=2,devices=8,time=60,partition=gpu`; `cluster=local` runs it here in the background.
    Raises ValueError for options that are none, ModuleNotFoundError that says what to install.
    """
    job = send(without(arguments), settings(text), home)
    return f"job {job.job_id}: its log is {job.paths.stdout}, its results will be in {home}"


def send(command: Sequence[str], options: dict[str, Any], home: Path) -> Any:
    """Submitit's job for a command."""
    options = dict(options)
    cluster = options.pop("cluster", "slurm")
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--slurm takes the package submitit: pip install 'remdm-tui[eval]'", name=error.name
        ) from error
    try:
        executor = submitit.AutoExecutor(folder=home / LOGS / "%j", cluster=cluster)
        executor.update_parameters(**parameters(options))
        return executor.submit(Job(command))
    except (RuntimeError, TypeError, NameError, AssertionError) as error:
        raise ValueError(f"Slurm does not take it: {' '.join(str(error).split())}") from error


def settings(text: str) -> dict[str, Any]:
    """The pairs of a text.  Raises ValueError for one without a value."""
    found = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise ValueError(f"--slurm takes name=value,name=value, not {pair!r}")
        found[name.strip()] = parsed(value.strip())
    return found


def parameters(options: dict[str, Any]) -> dict[str, Any]:
    """As submitit takes them: a task for each device, and a GPU for each task."""
    known = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    more = {name: value for name, value in options.items() if name not in NAMES}
    if "devices" in options:
        more.setdefault("gres", f"gpu:{options['devices']}")
    return {"name": "remdm-eval", **known, **({"slurm_additional_parameters": more} if more else {})}


def without(arguments: Sequence[str]) -> list[str]:
    """The command without --slurm and its value."""
    kept: list[str] = []
    skip = False
    for word in arguments:
        if skip or word.startswith("--slurm="):
            skip = False
        elif word == "--slurm":
            skip = True
        else:
            kept.append(word)
    return kept
