"""Find the TOML files of `configs/`: package data in the wheel, one directory next to the packages in a checkout."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

SUFFIX = ".toml"


def configs(package: str, kind: str) -> dict[str, Traversable]:
    """Return the files of one kind (models, presets, train) that `package` ships, by name, in alphabetical order.

    The wheel holds them in `package/configs/KIND`.  A checkout has one `configs/` next to its packages.
    """
    home = resources.files(package)
    shipped = home / "configs" / kind
    # an installed package may be in a zip file, a checkout never is
    found = shipped if shipped.is_dir() else Path(str(home)).parent / "configs" / kind
    files = {file.name.removesuffix(SUFFIX): file for file in found.iterdir() if file.name.endswith(SUFFIX)}
    return dict(sorted(files.items()))
