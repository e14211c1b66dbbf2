"""A little made-up language to train on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

VOCABULARY = 520


def write_texts(home: Path, extra: str = "") -> Path:
    """Write a .jsonl file of nonsense with both splits, and with enough of it for a vocabulary of VOCABULARY tokens."""
    numbers = np.random.default_rng(3)
    words = ["".join(numbers.choice(list("aeioulmnrst"), numbers.integers(2, 8))) for _ in range(300)]
    rows = [{"text": " ".join(numbers.choice(words, 200)) + ".", "split": "train"} for _ in range(6)]
    rows += [{"text": " ".join(numbers.choice(words, 60)), "split": "validation"} for _ in range(2)]
    rows += [{"text": extra}] if extra else []
    path = home / "nonsense.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
