"""Render a chat template, which is untrusted, in a process of its own with limits on time, memory and size.

Run as a script it is that process: JSON on standard input and output, and of what is installed jinja2 alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECONDS = 2
"""Processor seconds for rendering."""
PATIENCE = 20
"""Seconds by the clock for all of it, on a machine however busy."""
MEMORY = 1 << 29
"""Bytes of address space."""
LARGEST = 1 << 20
"""Bytes of a template, and of the text that it makes."""


def render(template: str, prompt: str, named: Mapping[str, str], whose: str) -> str:
    """Return the prompt as one user's turn with the answer begun.

    named: special tokens by role.  Raises ValueError that begins with the template's owner for one that fails, or
    needs more time or memory than there is for it.
    """
    fault = f"the chat template of {whose} cannot be rendered"
    if len(template) > LARGEST:
        raise ValueError(f"{fault}: it is longer than {LARGEST} characters")
    # the packages are those of this process, wherever they lie
    order = json.dumps({"template": template, "prompt": prompt, "named": dict(named), "path": sys.path})
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(Path(__file__))],
            input=order.encode("utf-8", "surrogatepass"), capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError(f"{fault}: it takes longer than {PATIENCE} seconds") from None
    try:
        said = json.loads(done.stdout)
    except ValueError:
        if done.returncode < 0:
            raise ValueError(f"{fault}: it takes more than {SECONDS} seconds, or too much memory") from None
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "its process ended without a word")
        raise ValueError(f"{fault}: {last[:300]}") from None
    if "error" in said:
        raise ValueError(f"{fault}: {said['error']}")
    return str(said["text"])


def main() -> None:
    """Answer one order on standard input."""
    order = json.loads(sys.stdin.buffer.read())
    sys.path[:] = order.pop("path")
    environment = _environment()
    _limit()
    try:
        text = _rendered(environment, **order)
    except MemoryError:
        answer = {"error": f"it takes more than {MEMORY >> 20} MB of memory"}
    except RecursionError:
        answer = {"error": "it calls itself without end"}
    except Exception as error:  # noqa: BLE001  (whatever a template can raise)
        answer = {"error": (" ".join(str(error).split()) or type(error).__name__)[:300]}
    else:
        answer = {"text": text}
    sys.stdout.write(json.dumps(answer))


def _rendered(environment: Any, template: str, prompt: str, named: dict[str, str]) -> str:
    """Return the text, made piece by piece so that an endless one is noticed."""
    turns = [{"role": "user", "content": prompt}]
    given = {"messages": turns, "tools": None, "documents": None, "add_generation_prompt": True, **named}
    parts: list[str] = []
    size = 0
    for part in environment.from_string(template).generate(given):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise ValueError(f"it makes a text of more than {LARGEST} characters")
    return "".join(parts)


def _environment() -> Any:
    """Return what the field's templates expect: blocks trimmed, loop controls, a few functions."""
    from datetime import datetime

    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} marks what an assistant wrote, which matters to training alone."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def as_json(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        """jinja2's own filter escapes characters for HTML."""
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _limit() -> None:
    """Bound this process's processor time and memory from here on, where the system can."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
    for what, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):  # a system that has no such limit, or a lower one already
            continue


if __name__ == "__main__":
    main()
