"""Submits a command to Slurm by submitit, which submits it again when the job is preempted or times out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from remdm_tui.settings.knobs import parsed

NAMES = {"time": "timeout_min", "nodes": "nodes", "devices": "tasks_per_node", "cpus": "cpus_per_task", "mem": "mem_gb",
         "name": "name"}  # fmt: skip
"""Names of submitit for these options; any other is an option of sbatch."""
LOGS = "slurm"
"""Directory of the jobs' output in the directory of the run."""
SAVING = 75.0
"""Seconds that a command has to save; Slurm kills it 90 seconds after the warning."""


class Job:
    """The function that runs in every task."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = [*command]
        self._running: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        self._running = subprocess.Popen([sys.executable, "-P", "-m", "remdm_tui", *self.command])
        ended = self._running.wait()
        if ended:
            raise RuntimeError(f"remdm-tui ended with status {ended}: see the log")
        return ended

    def checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Return what to submit again; submitit calls this at Slurm's warning, during `__call__`."""
        from submitit.helpers import DelayedSubmission

        self.end()
        return DelayedSubmission(Job(self.command))

    def end(self) -> None:
        """End the command: training saves itself, and evaluation has saved what is finished."""
        if self._running is None:
            return
        self._running.terminate()
        until = time.monotonic() + SAVING
        # not `wait`, during which this may be called
        with suppress(ChildProcessError):
            while os.waitid(os.P_PID, self._running.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if time.monotonic() > until:
                    self._running.kill()
                time.sleep(0.1)


def submit(arguments: Sequence[str], text: str, home: Path) -> str:
    """Submit the command, without --slurm, and return a sentence on the job.

    text: `nodes=2,devices=8,time=60,partition=gpu`; `cluster=local` runs it on this machine in the background.
    Raises ValueError for bad options, ModuleNotFoundError if submitit is missing.
    """
    job = send(without_slurm(arguments), parse_settings(text), home)
    return f"job {job.job_id}: its log is {job.paths.stdout}, its results will be in {home}"


def send(command: Sequence[str], options: dict[str, Any], home: Path) -> Any:
    """Submit a command, and return submitit's job. Raises ValueError and ModuleNotFoundError."""
    options = {"name": f"remdm-{command[0]}", **options}
    cluster = options.pop("cluster", "slurm")
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--slurm needs the package submitit: pip install 'remdm-tui[eval]'", name=error.name
        ) from error
    try:
        executor = submitit.AutoExecutor(folder=home / LOGS / "%j", cluster=cluster)
        executor.update_parameters(**submitit_parameters(options))
        return executor.submit(Job(command))
    except (RuntimeError, TypeError, NameError, AssertionError) as error:
        raise ValueError(f"Slurm refused the job: {' '.join(str(error).split())}") from error


def parse_settings(text: str) -> dict[str, Any]:
    """Return the name=value pairs of a text. Raises ValueError for one without a value."""
    pairs = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise ValueError(f"--slurm needs name=value,name=value, not {pair!r}")
        pairs[name.strip()] = parsed(value.strip())
    return pairs


def submitit_parameters(options: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of submitit: a task for each device, and a GPU for each task."""
    named = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    more = {name: value for name, value in options.items() if name not in NAMES}
    if "devices" in options:
        more.setdefault("gres", f"gpu:{options['devices']}")
    return {"name": "remdm-eval", **named, **({"slurm_additional_parameters": more} if more else {})}


def without_slurm(arguments: Sequence[str]) -> list[str]:
    """Return the command without --slurm and its value."""
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
