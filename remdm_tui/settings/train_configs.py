"""Training configurations: TOML files by path, or by the name of one that the package ships."""

from __future__ import annotations

from pathlib import Path

from engine.files.configs import configs
from engine.files.regular import regular_file


def train_config_names() -> tuple[str, ...]:
    """Return the names of the configurations in the package."""
    return tuple(configs("remdm_tui", "train"))


def read_train_config(config: Path) -> str:
    """Return the text of a configuration. Raises ValueError for an unknown name and OSError for a missing file.

    A file of this name is read instead of the configuration in the package; a directory is not.
    """
    is_name = len(config.parts) == 1 and not config.suffix and (not config.exists() or config.is_dir())
    if not is_name:
        return regular_file(config).read_text(encoding="utf-8")
    shipped = configs("remdm_tui", "train")
    if config.name not in shipped:
        raise ValueError(f"no such file or configuration: give a TOML file or one of {', '.join(shipped)}")
    return shipped[config.name].read_text(encoding="utf-8")
