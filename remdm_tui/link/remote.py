"""The commands that launch an engine on another machine."""

from __future__ import annotations

import shlex

SSH = (
    "ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=10",
    "-o", "ServerAliveCountMax=3", "--",
)  # fmt: skip
"""The person's own ssh: it may ask nothing, for the terminal is taken, and notices within half a minute that a
connection is gone."""
LAUNCH = "exec sh -c 'PATH=\"$HOME/.local/bin:$PATH\"; exec remdm-tui engine'"
"""For any login shell; pipx, uv and pip --user install into ~/.local/bin, which is often not on the PATH here."""


def remote_engine(host: str | None, python: str | None, command: str | None) -> tuple[tuple[str, ...], str]:
    """What launches the engine and the name of the place; both empty where it is to run here.

    Raises ValueError for options that contradict each other.
    """
    if command is not None:
        if python is not None:
            raise ValueError("--remote-python is for ssh's command, which --remote-command replaces: give one of them")
        words = split_command(command)
        return words, host or words[0]
    if host is None:
        if python is not None:
            raise ValueError("--remote-python needs a host: give --on HOST")
        return (), ""
    return ssh_command(host, python), host


def ssh_command(host: str, python: str | None = None) -> tuple[str, ...]:
    """Run the engine on a host of ssh's, by `remdm-tui engine` there or by a Python of its own.

    Raises ValueError for a host that ssh would take for an option.
    """
    if not host or host.startswith("-") or any(c.isspace() for c in host):
        raise ValueError(f"--on takes a host as ssh does, such as user@host, not {host!r}")
    return (*SSH, host, LAUNCH if python is None else f"exec {_unexpanded(python)} -P -m engine.serve")


def split_command(text: str) -> tuple[str, ...]:
    """The words of `--remote-command`; raises ValueError where there are none or a quote stays open."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"--remote-command cannot be read: {error}") from error
    if not words:
        raise ValueError("--remote-command is empty: give what launches `remdm-tui engine`")
    return words


def advice(command: tuple[str, ...], code: int) -> str:
    """What a person can do about a launcher that ended with this code before the engine spoke; empty if unknown."""
    if code == 127:
        return "give the Python there with --remote-python, or the whole launcher with --remote-command"
    if code == 255 and command[:1] == SSH[:1]:
        return "ssh may ask nothing here: use a key or an agent, and log in once by hand to accept the host"
    return ""


def _unexpanded(path: str) -> str:
    """Quoted for the shell there, but for a tilde at the front."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)
