"""Generative perplexity of texts on screen: the package's judge in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence

COMMAND = (sys.executable, "-P", "-m", "engine.metrics.judge_texts")


class JudgeProcess:
    """Scores texts once; `close` ends it early."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def score(self, texts: Sequence[str], length: int) -> list[float]:
        """Return the perplexity of each text, nan where nothing can be scored.  Raises ValueError if the judge fails.

        length: positions of a text in the model that wrote it.
        """
        answer, log = self._process.communicate(json.dumps({"texts": list(texts), "length": length}))
        if self._process.returncode:
            lines = log.strip().splitlines()
            raise ValueError(f"The judge failed: {lines[-1] if lines else 'it was ended'}")
        return [math.nan if value is None else float(value) for value in json.loads(answer)]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
