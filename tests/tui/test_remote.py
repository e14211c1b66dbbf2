"""The engine on another machine: through a real sshd on loopback, and through launchers that trouble the stream."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine import wire
from engine.models import load_model
from engine.records import ModelChoice, Settings
from engine.serve import Server
from engine.strategies import catalogue, make_strategy, values
from remdm_tui.link.process import ProcessLink
from remdm_tui.link.remote import LAUNCH, advice, remote_engine, split_command, ssh_command
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import reconnect
from remdm_tui.watch.key_names import key
from remdm_tui.watch.player import seek, toggle
from remdm_tui.watch.session import WatchSession
from tests import forks
from tests.tui.terminal import Terminal
from tests.waiting import PATIENCE, eventually

RELAY = Path(__file__).with_name("relay.py")
CAP = Settings("remdm-cap", values(make_strategy("remdm-cap")))
CONF = Settings("remdm-conf", values(make_strategy("remdm-conf", eta=0.3)), top_p=0.7)
MODEL = ModelChoice("demo", "cpu", "float32")
STEPS = 60
TURN = 20
"""The step before which the knob is turned."""


def person(command, where="elsewhere", **options):
    """Return a session without a screen, at step 0."""
    chosen = {"steps": STEPS, "length": 48, "seed": 4, "paused": True} | options
    return WatchSession(WatchOptions(CAP, MODEL, where=where, **chosen), partial(ProcessLink, command))


def until(one, condition):
    """Let time pass for somebody until something holds; no moment passes unseen, as it is looked at every tick."""
    end, last = time.monotonic() + PATIENCE, time.monotonic()
    while not condition(one):
        now = time.monotonic()
        assert now < end, f"waited in vain: {one.notice}, {one.progress}, {one.recorded} recorded"
        one.tick(now - last)
        last = now
        time.sleep(0.01)


def at_rest(one):
    return one.has_record and not one.state.waiting and one.trace is not None


def step_to(one, step):
    """Compute steps up to one, and no more."""
    until(one, at_rest)
    one.tick(0)
    one.player = replace(seek(one.player, one.recorded), stepping=step - one.recorded)
    until(one, lambda w: w.recorded >= step and at_rest(w))


def to_the_end(one):
    one.player = toggle(replace(one.player, position=one.recorded))
    until(one, lambda w: w.player.ended)


def watched(one, at_step=None):
    """The whole run with one knob turned on the way; at_step: (step, what happens there)."""
    one.start()
    until(one, at_rest)
    step_to(one, TURN)
    one.configure(CONF)
    if at_step is not None:
        step, what = at_step
        step_to(one, step)
        what(one)
        until(one, at_rest)
    to_the_end(one)
    record = one.trace
    one.link.close()
    return record


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The engine's own server on a socket, one thread for each terminal: it starts at once, with its model loaded."""
    model = load_model(MODEL.name, MODEL.device, MODEL.dtype)
    path = str(tmp_path_factory.mktemp("engine") / "socket")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()

    def serve(line):
        inbox, stream = queue.SimpleQueue(), line.makefile("rwb")

        def read():
            with contextlib.suppress(OSError, ValueError):
                for command in wire.commands(stream):
                    inbox.put(command)
            inbox.put(None)

        threading.Thread(target=read, daemon=True).start()
        with contextlib.suppress(OSError, ValueError):
            wire.greet(stream, "test")
            Server(lambda event: wire.write(stream, event), lambda *_: model).serve(inbox)
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield path
    listening.close()


@pytest.fixture(scope="module")
def relay(engine):
    """The command that reaches the engine, by what troubles its stream."""
    return lambda trouble="none", *more: [sys.executable, "-S", str(RELAY), engine, trouble, *map(str, more)]


@pytest.fixture(scope="module")
def unbroken():
    """The run by an engine process here."""
    return watched(person(forks.engine(), where=""))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(reconnect, "WAITS", (0.05, 0.1, 0.2, 0.4, 0.8))


def assert_same(record, other):
    assert len(record) == len(other)
    for position in range(1, len(record) + 1):
        ours, theirs = record.frame(position), other.frame(position)
        assert ours.settings == theirs.settings
        assert (ours.t, ours.s, ours.network_calls, ours.final) == (
            theirs.t,
            theirs.s,
            theirs.network_calls,
            theirs.final,
        )
        assert (ours.tokens == theirs.tokens).all()
        assert (ours.change == theirs.change).all()
        # processes with other numbers of threads round differently
        np.testing.assert_allclose(ours.held, theirs.held, rtol=1e-5)


def kill_engine(one):
    os.killpg(one.link._process.pid, signal.SIGKILL)
    until(one, lambda w: not w.live)


def test_a_knob_turned_is_on_the_record(unbroken):
    assert [frame for frame, _ in unbroken.settings()] == [0, TURN]


@pytest.mark.parametrize("step", [TURN - 7, TURN, TURN + 31])
def test_a_lost_engine_is_found_again_and_the_run_goes_on_as_if_unbroken(unbroken, relay, step):
    one = person(relay())
    if step < TURN:
        one.start()
        step_to(one, step)
        kill_engine(one)
        step_to(one, TURN)
        one.configure(CONF)
        to_the_end(one)
        record = one.trace
        one.link.close()
    else:
        record = watched(one, (step, kill_engine))
    assert_same(record, unbroken)


def test_R_after_a_crash_here_goes_on_with_the_record_too(unbroken, relay):
    def crash(one):
        kill_engine(one)
        assert f"({key('revive')}: restart the engine)" in one.notice.text
        one.revive()

    assert_same(watched(person(relay(), where=""), (TURN + 5, crash)), unbroken)


@pytest.mark.parametrize("trouble", ["delay", "cut", "garble"])
def test_a_troubled_stream_gives_the_same_run(unbroken, relay, trouble, tmp_path):
    before = io.BytesIO()
    for message in (wire.Hello(catalogue()), wire.Ready(load_model(MODEL.name, "cpu").info)):
        wire.write(before, message)
    one = person(relay(trouble, tmp_path / "lives", len(before.getvalue()) + 20_000))
    links = []
    one._executor.make_link = lambda make=one._executor.make_link: links.append(make()) or links[-1]
    record = watched(one)
    assert_same(record, unbroken)
    assert len(links) == (0 if trouble == "delay" else 1)


def test_an_engine_lost_while_it_loads_the_first_model_lets_another_be_picked(relay, tmp_path):
    hello = io.BytesIO()
    wire.write(hello, wire.Hello(catalogue()))
    # in the middle of what the engine says of the model
    one = person(relay("cut", tmp_path / "lives", len(hello.getvalue()) + 10_000))
    one.start()
    until(one, lambda w: w.state.needs_model is not None)
    assert "the line is cut" in one.state.needs_model
    one.load(MODEL)
    until(one, at_rest)
    one.link.close()


def test_a_host_that_cannot_be_reached_is_one_sentence():
    one = person(["sh", "-c", "echo 'ssh: connect to host gpu port 22: No route to host' >&2; exit 255"])
    one.start()
    until(one, lambda w: w.state.over)
    assert "No route to host" in one.failure


def test_the_command_for_ssh_prompts_for_nothing_and_takes_no_option_from_the_host():
    command = ssh_command("me@gpu")
    assert command[0] == "ssh"
    assert "BatchMode=yes" in command
    assert command[-3:] == ("--", "me@gpu", LAUNCH)
    assert ssh_command("gpu", "~/my env/bin/python")[-1] == "exec ~/'my env/bin/python' -P -m engine.serve"
    for bad in ("-oProxyCommand=x", "", "a b"):
        with pytest.raises(ValueError, match="--on needs a host"):
            ssh_command(bad)


def test_what_launches_the_engine_is_chosen_by_the_options():
    assert remote_engine(None, None, None) == ((), "")
    words = ("srun", "--pty", "remdm-tui", "engine")
    assert remote_engine(None, None, "srun --pty remdm-tui engine") == (words, "srun")
    assert remote_engine("gpu", None, "srun --pty remdm-tui engine") == (words, "gpu")
    for arguments in [(None, "python3", None), ("gpu", "python3", "x"), (None, None, " ")]:
        with pytest.raises(ValueError, match="--remote"):
            remote_engine(*arguments)
    with pytest.raises(ValueError, match="cannot parse --remote-command"):
        split_command("'")


def test_a_launcher_that_fails_in_a_known_way_comes_with_advice():
    assert "--remote-python" in advice(ssh_command("gpu"), 127)
    assert "agent" in advice(ssh_command("gpu"), 255)
    assert advice(("srun",), 255) == ""


# -- a real sshd


class Daemon:
    """An sshd of the person's own: its port, keys and settings lie in one directory, where `ssh` finds them."""

    def __init__(self, home: Path, sshd: str) -> None:
        self.home = home
        for name in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (home / "authorized_keys").write_text((home / "client.pub").read_text())
        (home / "authorized_keys").chmod(0o600)
        host_key = (home / "host.pub").read_text().split()
        (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
        (home / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile {home}/pid\nUsePAM no\n"
            f"AuthorizedKeysFile {home}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        )
        (home / "config").write_text(
            f"Host gpu\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {home}/client\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {home}/known_hosts\n  IdentityAgent none\n"
        )
        # what stands for the person's ssh: theirs, with the configuration of this directory
        binaries = home / "bin"
        binaries.mkdir()
        (binaries / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/config "$@"\n')
        (binaries / "ssh").chmod(0o755)
        self.path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
        self._daemon = subprocess.Popen([sshd, "-D", "-e", "-f", str(home / "sshd_config")], stderr=subprocess.PIPE)
        while b"listening" not in self._daemon.stderr.readline():
            assert self._daemon.poll() is None

    def connections(self) -> list[int]:
        """Processes that serve one connection each."""
        children = Path(f"/proc/{self._daemon.pid}/task/{self._daemon.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def close(self) -> None:
        for pid in self.connections():
            os.kill(pid, signal.SIGKILL)
        self._daemon.kill()
        self._daemon.wait()
        self._daemon.stderr.close()


SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@pytest.fixture
def server(tmp_path):
    if SSHD is None or not Path("/proc/self/task").is_dir():
        pytest.skip("there is no sshd here")
    if os.getuid() == 0:
        # where it is root, sshd wants its directory for privilege separation
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    made = Daemon(tmp_path, SSHD)
    yield made
    made.close()


def test_an_engine_behind_ssh_is_the_same_and_comes_back_when_the_connection_is_cut(server, unbroken, monkeypatch):
    monkeypatch.setenv("PATH", server.path)

    def cut(one):
        (connection,) = server.connections()
        os.kill(connection, signal.SIGKILL)
        until(one, lambda w: not w.live)

    # where a new engine need not import torch
    python = server.home / "bin" / "python"
    python.write_text(f"#!/bin/sh\nexec {shlex.join(forks.engine())}\n")
    python.chmod(0o755)
    one = person(ssh_command("gpu", str(python)), where="gpu")
    assert_same(watched(one, (TURN + 9, cut)), unbroken)
    eventually(lambda: not server.connections(), lambda: "for the engine there to end")


def test_a_person_watches_a_run_on_a_host(server):
    command = ["watch", "--on", "gpu", "--remote-python", sys.executable, "--steps", "8", "--length", "16"]
    one = Terminal(command, PATH=server.path)
    try:
        one.wait(lambda s: "done" in s.splitlines()[0])
        assert "on gpu" in one.screen().splitlines()[1]
        one.press("q")
        assert one.exit_code() == 0
    finally:
        one.close()


def test_a_key_that_is_refused_is_reported_with_what_helps(server):
    (server.home / "authorized_keys").write_text("")
    one = Terminal(["watch", "--on", "gpu"], PATH=server.path)
    try:
        assert one.exit_code() == 2
        output = one.raw.decode().replace("\r", "")
        assert "Permission denied" in output
        assert "use a key or an agent" in output
        assert one.restored()
    finally:
        one.close()


def test_a_host_without_the_program_is_reported_with_what_helps(server):
    one = Terminal(["watch", "--on", "gpu", "--remote-python", "/no/such/python"], PATH=server.path)
    try:
        assert one.exit_code() == 2
        assert "--remote-python" in one.raw.decode()
    finally:
        one.close()


def test_a_launcher_takes_the_place_of_ssh(tmp_path):
    engine = shlex.join([*forks.command(forks.MAIN), "engine"])
    one = Terminal(["watch", "--remote-command", f"env {engine}", "--steps", "16", "--length", "24"])
    try:
        one.wait(lambda s: "done" in s.splitlines()[0])
        assert "on env" in one.screen().splitlines()[1]
        one.press("q")
        assert one.exit_code() == 0
    finally:
        one.close()
