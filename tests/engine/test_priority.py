"""The engine lets the terminal go first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.system.priority import GROUP, NICENESS

PROGRAM = """
from engine.system.priority import lower_priority, lower_session_priority
import os, pathlib
lower_priority()
lower_session_priority(pathlib.Path({path!r}))
print(os.nice(0))
"""


def given_way(path: Path, own_session: bool) -> int:
    """The niceness of a process that has given way."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(path=str(path))],
        start_new_session=own_session, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def test_who_leads_a_session_makes_it_nice_as_a_whole(tmp_path: Path) -> None:
    group = tmp_path / "autogroup"
    group.write_text("")
    assert given_way(group, own_session=True) == os.nice(0) + NICENESS
    assert group.read_text() == str(NICENESS)


def test_a_session_that_is_somebody_elses_stays_as_it_is(tmp_path: Path) -> None:
    group = tmp_path / "autogroup"
    group.write_text("")
    assert given_way(group, own_session=False) == os.nice(0) + NICENESS
    assert group.read_text() == ""


def test_a_system_without_such_groups_is_no_error(tmp_path: Path) -> None:
    assert given_way(tmp_path / "missing", own_session=True) == os.nice(0) + NICENESS
    assert not (tmp_path / "missing").exists()


@pytest.mark.skipif(not GROUP.exists(), reason="this kernel does not group processes by session")
def test_linux_takes_it() -> None:
    code = (
        "from engine.system.priority import lower_session_priority, GROUP; "
        "lower_session_priority(); print(GROUP.read_text())"
    )
    before = GROUP.read_text()
    output = subprocess.run(
        [sys.executable, "-c", code], start_new_session=True, capture_output=True, text=True, check=True
    ).stdout
    assert output.split()[-2:] == ["nice", str(NICENESS)]
    assert GROUP.read_text() == before
