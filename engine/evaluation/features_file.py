"""The file of the samples' features, from which MAUVE is computed."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.files.checksums import checksum, mismatch, replace_checked

FEATURES = "features.npy"


def read_features(home: Path) -> NDArray[np.float32] | None:
    """Return the features of the samples, float32 [N, D]; None for a missing, damaged or foreign file."""
    try:
        if mismatch(home / FEATURES):
            return None
        points = np.load(home / FEATURES, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile):
        return None
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.dtype != np.float32:
        return None
    return points if np.isfinite(points).all() else None


def write_features(home: Path, points: NDArray[np.float32]) -> None:
    """Write the features, float32 [N, D], with their checksum."""
    file = BytesIO()
    np.save(file, points)
    replace_checked(home / FEATURES, file.getvalue())


def forget_features(home: Path) -> None:
    (home / FEATURES).unlink(missing_ok=True)
    checksum(home / FEATURES).unlink(missing_ok=True)
