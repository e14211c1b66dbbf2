"""Handing a command to Slurm by submitit: the same command, gone on with whenever the job is preempted or times out."""

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
"""What submitit calls these; anything else is an option of sbatch."""
LOGS = "slurm"
"""Where in the run's directory the jobs' own output goes."""


SAVING = 75.0
"""Seconds that a command is given to save what it has; Slurm ends all 90 after its warning."""


class Job:
    """What runs in every task; submitit sends it again when Slurm takes the machine away."""

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
        """Called by submitit at Slurm's warning, in the middle of `__call__`: what is to be sent again."""
        from submitit.helpers import DelayedSubmission

        self.end()
        return DelayedSubmission(Job(self.command))

    def end(self) -> None:
        """Have the command save and end; training does, and whatever evaluation has finished is saved already."""
        if self._running is None:
            return
        self._running.terminate()
        until = time.monotonic() + SAVING
        # not by `wait`, in the middle of which this may be called
        with suppress(ChildProcessError):
            while os.waitid(os.P_PID, self._running.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if time.monotonic() > until:
                    self._running.kill()
                time.sleep(0.1)


def submit(arguments: Sequence[str], text: str, home: Path) -> str:
    """Send the command, without --slurm, as a job; a sentence that says which.

    text: `nodes=2,devices=8,time=60,partition=gpu`; `cluster=local` runs it here in the background.
    Raises ValueError for options that are none, ModuleNotFoundError that says what to install.
    """
    job = send(without(arguments), settings(text), home)
    return f"job {job.job_id}: its log is {job.paths.stdout}, its results will be in {home}"


def send(command: Sequence[str], options: dict[str, Any], home: Path) -> Any:
    """Submitit's job for a command."""
    options = {"name": f"remdm-{command[0]}", **options}
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
