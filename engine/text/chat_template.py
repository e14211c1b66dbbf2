"""Render untrusted chat templates in a child process with limits on time, memory and size.

Run as a script, this module is that process: JSON on standard input and output; it imports only jinja2.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 2
"""Limit on processor time, in seconds."""
PATIENCE = 20
"""Limit on wall-clock time, in seconds, also on a busy machine."""
MEMORY = 1 << 29
"""Limit on address space, in bytes."""
LARGEST = 1 << 20
"""Limit on a template and on its text, in characters."""


Turn = Mapping[str, str]
"""One turn of a conversation: its role, and its content."""


def render_chat(
    template: str, turns: Sequence[Turn], special: Mapping[str, str], owner: str, *, begin_answer: bool = True
) -> str:
    """Return a conversation, followed by the start of the answer.

    special: special tokens by role.  begin_answer: whether to open the answer's turn.  Raises ValueError, which names
    the template's owner, if rendering fails or exceeds a limit.
    """
    fault = f"the chat template of {owner} cannot be rendered"
    if len(template) > LARGEST:
        raise ValueError(f"{fault}: it is longer than {LARGEST} characters")
    # the child finds the same packages as this process
    conversation = {"template": template, "turns": [dict(turn) for turn in turns], "begin_answer": begin_answer}
    request = json.dumps({**conversation, "special": dict(special), "path": sys.path})
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(Path(__file__))],
            input=request.encode("utf-8", "surrogatepass"), capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError(f"{fault}: it takes longer than {PATIENCE} seconds") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        if done.returncode < 0:
            raise ValueError(f"{fault}: it takes more than {SECONDS} seconds, or too much memory") from None
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "its process ended without output")
        raise ValueError(f"{fault}: {last[:300]}") from None
    if "error" in answer:
        raise ValueError(f"{fault}: {answer['error']}")
    return str(answer["text"])


def main() -> None:
    """Answer one request on standard input."""
    request = json.loads(sys.stdin.buffer.read())
    sys.path[:] = request.pop("path")
    environment = _environment()
    _limit()
    try:
        text = _rendered(environment, **request)
    except MemoryError:
        answer = {"error": f"it takes more than {MEMORY >> 20} MB of memory"}
    except RecursionError:
        answer = {"error": "it recurses without end"}
    except Exception as error:  # noqa: BLE001  (whatever a template can raise)
        answer = {"error": (" ".join(str(error).split()) or type(error).__name__)[:300]}
    else:
        answer = {"text": text}
    sys.stdout.write(json.dumps(answer))


def _rendered(
    environment: Any, template: str, turns: list[dict[str, str]], begin_answer: bool, special: dict[str, str]
) -> str:
    """Return the text; raise ValueError as soon as it is too long."""
    given = {"messages": turns, "tools": None, "documents": None, "add_generation_prompt": begin_answer, **special}
    parts: list[str] = []
    size = 0
    for part in environment.from_string(template).generate(given):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise ValueError(f"it produces more than {LARGEST} characters")
    return "".join(parts)


def _environment() -> Any:
    """Return the environment that published templates expect: trimmed blocks, loop controls, some functions."""
    from datetime import datetime

    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} marks the assistant's text, which only matters for training."""

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
        """Return JSON without the HTML escapes of jinja2's own filter."""
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _limit() -> None:
    """Limit processor time and memory of this process, if the system can."""
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
