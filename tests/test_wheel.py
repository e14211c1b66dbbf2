"""The wheel among nothing but what it asks for: it watches, samples and lists like a checkout."""

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from engine.files.run_layout import MODEL_FILES
from engine.models.catalogue import DIRECTORIES
from tests.tui.terminal import Terminal

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(autouse=True)
def no_checkout(monkeypatch):
    """The installed wheel must not find the packages of this checkout."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


def required_by(wheel):
    """The packages that are installed with the wheel: those it requires and those that they do."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = message_from_bytes(archive.read(name)).get_all("Requires-Dist")
    found, waiting = {}, [(line, "") for line in lines]
    while waiting:
        line, extra = waiting.pop()
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        for more in ("", *wanted.extras):
            if (wanted.name, more) not in found:
                found[wanted.name, more] = there = distribution(wanted.name)
                waiting += [(line, more) for line in there.requires or ()]
    return {there.name: there for there in found.values()}.values()


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command of the wheel in a fresh environment; its packages are those of this one, linked file by file."""
    home = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    for package in required_by(wheel):
        for file in package.files:
            if ".." not in file.parts:
                place = packages / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(package.locate_file(file))
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, cwd=home)
    subprocess.run([*pip, "check"], check=True, cwd=home)
    return home / "bin" / "remdm-tui"


def test_the_wheel_puts_two_packages_at_the_top_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    (facts,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    assert {name.split("/")[0] for name in names} == {"engine", "remdm_tui", facts}
    wanted = {"engine/models/demo/model.safetensors", "engine/models/demo/README.md", "remdm_tui/app.tcss"}
    assert wanted <= set(names)
    assert not [name for name in names if "test" in name or name.endswith((".pt", ".part"))]


def test_the_wheel_holds_every_model_with_its_card_and_is_small(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"engine/models/{place}/{name}" for place in DIRECTORIES.values() for name in (*MODEL_FILES, "README.md")}
    assert wanted <= names
    assert wheel.stat().st_size < 80e6


def test_the_wheel_holds_every_file_of_configs_once(wheel):
    shipped = [name.partition("/configs/")[2] for name in zipfile.ZipFile(wheel).namelist() if "/configs/" in name]
    there = [str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*") if path.is_file()]
    assert sorted(shipped) == sorted(there)


def test_the_installed_wheel_watches(installed):
    person = Terminal(["watch", "--steps", "32", "--length", "32"], command=[str(installed)])
    try:
        screen = person.wait(lambda s: "done" in s.splitlines()[0] and "32/32" in s.splitlines()[0])
        assert len(re.findall("[a-z]{2,}", "\n".join(line[:78] for line in screen.splitlines()[2:20]))) > 5
        person.press("q")
        assert person.exit_code() == 0
    finally:
        person.close()


def test_the_installed_wheel_samples_and_lists(installed, tmp_path):
    text = subprocess.run(
        [installed, "sample", "--count", "1", "--steps", "8", "--length", "16"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert len(text.split()) > 3
    listed = subprocess.run([installed, "list", "presets"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "owt-remdm-loop" in listed.stdout


def test_the_installed_wheel_knows_its_configurations_from_anywhere(installed, tmp_path):
    small = [
        "--model",
        "demo",
        "--count",
        "1",
        "--steps",
        "2",
        "--length",
        "8",
        "--judge",
        "none",
        "--references",
        "none",
    ]
    evaluated = [installed, "eval", "--preset", "owt-remdm-cap", *small, "--out", "out"]
    subprocess.run(evaluated, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out" / "results.json").is_file()
    train = [installed, "train", "--config", "demo", "--data", "none.txt", "--out", "run"]
    refused = subprocess.run(train, cwd=tmp_path, capture_output=True, text=True)
    # the configuration is read before the data
    assert (refused.returncode, "none.txt" in refused.stderr, "demo" in refused.stderr) == (2, True, False)
