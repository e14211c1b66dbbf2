"""The wheel, in an environment that holds nothing else: it watches, samples and lists like a checkout."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tui.terminal import Terminal

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command of the wheel in a fresh environment, with the pinned versions."""
    home = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--no-compile", *constraints]
    # by name first: where a build of this very version lies on disk, pip takes it
    for what in ("torch==2.13.0", str(wheel)):
        subprocess.run([*pip, what], check=True, cwd=home)
    return home / "bin" / "remdm-tui"


def test_the_wheel_holds_the_house_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} - {"engine", "remdm_tui", "configs"} == {
        next(name.split("/")[0] for name in names if ".dist-info/" in name)
    }
    wanted = ["engine/models/demo/model.safetensors", "engine/models/demo/README.md", "remdm_tui/app.tcss"]
    assert {*wanted, "configs/train/demo.toml", "configs/presets/owt-remdm-cap.toml"} <= set(names)
    assert not [name for name in names if "test" in name or name.endswith((".pt", ".part"))]


@pytest.mark.timeout(600)
def test_the_installed_wheel_watches(installed):
    person = Terminal(["watch", "--steps", "32", "--length", "32"], command=[str(installed)])
    try:
        screen = person.wait(lambda s: "done" in s.splitlines()[0] and "32/32" in s.splitlines()[0])
        assert len(re.findall("[a-z]{2,}", "\n".join(line[:78] for line in screen.splitlines()[2:20]))) > 5
        person.press("q")
        assert person.exit_code() == 0
    finally:
        person.close()


@pytest.mark.timeout(600)
def test_the_installed_wheel_samples_and_lists(installed, tmp_path):
    text = subprocess.run(
        [installed, "sample", "--count", "1", "--steps", "8", "--length", "16"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert len(text.split()) > 3
    listed = subprocess.run([installed, "list", "presets"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "owt-remdm-loop" in listed.stdout
