"""The commands that launch an engine on another machine."""

from __future__ import annotations

import shlex

SSH = (
    "ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=10",
    "-o", "ServerAliveCountMax=3", "--",
)  # fmt: skip
"""The person's own ssh; it must not prompt, because the application owns the terminal, and it notices a lost
connection within half a minute."""
LAUNCH = "exec sh -c 'PATH=\"$HOME/.local/bin:$PATH\"; exec remdm-tui engine'"
"""For any login shell.  pipx, uv and pip --user install into ~/.local/bin, often not on the PATH of ssh commands."""


def remote_engine(host: str | None, python: str | None, command: str | None) -> tuple[tuple[str, ...], str]:
    """Return the command that launches the engine and the name of its host; both empty for an engine on this machine.

    Raises ValueError if the options contradict each other.
    """
    if command is not None:
        if python is not None:
            raise ValueError("--remote-python has no effect with --remote-command: give only one of them")
        words = split_command(command)
        return words, host or words[0]
    if host is None:
        if python is not None:
            raise ValueError("--remote-python needs --on HOST")
        return (), ""
    return ssh_command(host, python), host


def ssh_command(host: str, python: str | None = None) -> tuple[str, ...]:
    """Return the command that runs `remdm-tui engine`, or the engine under a given Python, on a host through ssh.

    Raises ValueError for a host that ssh would read as an option.
    """
    if not host or host.startswith("-") or any(c.isspace() for c in host):
        raise ValueError(f"--on needs a host as for ssh, such as user@host, not {host!r}")
    return (*SSH, host, LAUNCH if python is None else f"exec {_unexpanded(python)} -P -m engine.serve")


def split_command(text: str) -> tuple[str, ...]:
    """Return the words of `--remote-command`.  Raises ValueError if it is empty or a quote is not closed."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"cannot parse --remote-command: {error}") from error
    if not words:
        raise ValueError("--remote-command is empty: give a command that launches `remdm-tui engine`")
    return words


def advice(command: tuple[str, ...], code: int) -> str:
    """Return what to do about a launcher that exited with `code` before the engine greeted; empty if unknown."""
    if code == 127:
        return "give the remote Python with --remote-python, or the whole command with --remote-command"
    if code == 255 and command[:1] == SSH[:1]:
        return "ssh cannot prompt here: use a key or an agent, and log in once by hand to accept the host"
    return ""


def _unexpanded(path: str) -> str:
    """Return the path quoted for the remote shell, which still expands a leading ~/."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)
