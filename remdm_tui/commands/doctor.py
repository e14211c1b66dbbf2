"""`doctor`: versions, devices and terminal, and whether a model loads and its loss is that of a trained one."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.records import ModelChoice
from remdm_tui.commands.listing import table, to_json
from remdm_tui.commands.progress import Status, on_stderr
from remdm_tui.console.output import print_json, print_result
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render import model_summary
from remdm_tui.render.progress_line import format_size
from remdm_tui.watch.available_models import hub_cache


def run(choice: ModelChoice, *, load: bool, as_json: bool) -> None:
    """Print the environment, then the model. Raises ValueError if the model does not load."""
    with on_stderr(lines=False) as reporter, reporter.waiting("checking this machine"):
        from engine.models.environment import devices, versions

        facts: dict[str, Any] = {
            "versions": versions(),
            "devices": [asdict(device) for device in devices()],
            "terminal": terminal(os.environ),
            "caches": {"hub": str(hub_cache()), "runs": str(Path("runs").absolute())},
        }
    if not as_json:
        print_result(text(facts))
    if load:
        try:
            facts["model"] = checked(choice)
        except ValueError as error:
            facts["model"] = {"name": choice.name, "error": str(error)}
            if as_json:
                print_json(to_json(facts))
            raise
        if not as_json:
            print_result(f"\n{sanitize(facts['model']['line'])}")
    if as_json:
        print_json(to_json(facts))


def terminal(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the terminal and the environment say the terminal can do."""
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or locale.getpreferredencoding()).lower()
    return {
        "terminal": sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty(),
        "TERM": environment.get("TERM", ""),
        "COLORTERM": environment.get("COLORTERM", ""),
        "NO_COLOR": bool(environment.get("NO_COLOR")),
        "size": f"{size.columns}x{size.lines}",
        "encoding": encoding,
        "unicode": encoding.replace("-", "") == "utf8",
    }


def checked(choice: ModelChoice) -> dict[str, Any]:
    """Load the model, and return its facts with its loss on a short text. Raises ValueError."""
    with on_stderr(lines=False) as reporter, reporter.waiting(f"loading {choice.name}"):
        from engine.models import load_choice
        from engine.sampling.self_check import self_check

        model = load_choice(choice, reporter.loading)
        reporter.progress(Status("reading a short text"))
        check = self_check(model, model.codec)
    facts = {name: value for name, value in asdict(model.info).items() if name not in ("pieces", "fragments")}
    return {
        **facts,
        **asdict(check),
        "garbled": check.garbled,
        "line": f"{model_summary.summary_line(model.info)}; {check}",
    }


def text(found: Mapping[str, Any]) -> str:
    """Return the environment as text."""
    devices = [
        (
            one["device"], one["name"], format_size(one["memory"]) if one["memory"] else "",
            f"{one['dtype']} by default, bfloat16 {'yes' if one['bfloat16'] else 'slow or not at all'}, "
            f"{one['attention']} attention",
        )
        for one in found["devices"]
    ]  # fmt: skip
    terminal = {
        name: "yes" if value is True else "no" if value is False else value or "-"
        for name, value in found["terminal"].items()
    }
    parts = {
        "versions": list(found["versions"].items()),
        "devices": devices,
        "terminal": [(name, str(value)) for name, value in terminal.items()],
        "caches": list(found["caches"].items()),
    }
    advice = [] if found["terminal"]["unicode"] else ["This terminal does not support Unicode: use watch --ascii."]
    return "\n\n".join([f"{name}\n{table(rows, '    ')}" for name, rows in parts.items()] + advice)
