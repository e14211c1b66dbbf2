"""Presets and training configurations by name and by path, from any directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.training.config_file import read_config
from remdm_tui.settings import presets, train_configs
from remdm_tui.settings.run_arguments import RunArguments

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_file_of_the_repository_has_its_name() -> None:
    assert set(train_configs.train_config_names()) == {path.stem for path in (ROOT / "configs" / "train").iterdir()}
    assert set(presets.preset_names()) == {path.stem for path in (ROOT / "configs" / "presets").iterdir()}


@pytest.mark.parametrize("name", train_configs.train_config_names())
def test_a_training_configuration_by_name_is_the_one_by_path(name: str) -> None:
    by_path = train_configs.read_train_config(ROOT / "configs" / "train" / f"{name}.toml")
    assert train_configs.read_train_config(Path(name)) == by_path
    read_config(by_path)


def test_a_file_goes_before_a_name_and_a_directory_does_not(elsewhere: Path) -> None:
    (elsewhere / "demo").mkdir()
    assert "[model]" in train_configs.read_train_config(Path("demo"))
    (elsewhere / "demo-ar").write_text("[run]\nsteps = 7\n")
    assert read_config(train_configs.read_train_config(Path("demo-ar"))).run.steps == 7


def test_an_unknown_configuration_lists_the_known_ones(elsewhere: Path) -> None:
    with pytest.raises(ValueError, match="no such file or configuration: give a TOML file or one of demo, demo-ar,"):
        train_configs.read_train_config(Path("dmeo"))
    with pytest.raises(FileNotFoundError):
        train_configs.read_train_config(Path("dmeo.toml"))
    with pytest.raises(ValueError, match="is a directory"):
        train_configs.read_train_config(elsewhere)


def test_a_preset_by_path_is_the_one_by_name_with_its_rows() -> None:
    table = ROOT / "configs" / "presets" / "mini-table.toml"
    assert presets.read_preset(str(table)) == presets.read_preset("mini-table")
    assert presets.read_preset(f"{table}/dfm") == presets.read_preset("mini-table/dfm")
    assert RunArguments(preset=f"{table}/dfm").options() == RunArguments(preset="mini-table/dfm").options()


def test_a_preset_by_path_names_its_fault(elsewhere: Path) -> None:
    (elsewhere / "mine.toml").write_text("summary = 'x'\nstrategy = 3\n")
    with pytest.raises(ValueError, match=r"preset mine\.toml: .*strategy"):
        presets.read_preset("mine.toml")
    (elsewhere / "mine.toml").write_text("summary = 'x'\nstrategy = 'mdlm'\n")
    with pytest.raises(ValueError, match=r"preset mine\.toml: there is no row 'a'"):
        presets.read_preset("mine.toml/a")
    with pytest.raises(FileNotFoundError):
        presets.read_preset("other.toml")


def test_training_takes_the_demos_configuration_where_none_is_named(
    elsewhere: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    monkeypatch.setattr("remdm_tui.commands.train.run", lambda config, *_, **__: taken.append(config) or 0)
    cli("train", "--data", "texts", "--out", "run")
    cli("train", "--data", "texts", "--out", "run", "--config", "demo-ar")
    assert [config.name for config in taken] == ["demo", "demo-ar"]
    assert taken[0].name in train_configs.train_config_names()
