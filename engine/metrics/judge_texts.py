"""Score texts with the package's judge in a process of its own: JSON of texts in, JSON of perplexities out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence

from engine.metrics.generative_perplexity import score_texts
from engine.metrics.judges import load_judge

JUDGE = "demo-judge"


def perplexities(texts: Sequence[str], length: int) -> list[float | None]:
    """Return the perplexity of each text under the judge; None for one in which nothing can be scored.

    length: positions of a text in the model that wrote it.
    """
    scores = score_texts(load_judge(JUDGE, "cpu"), texts, length=length)
    return [None if math.isnan(value) else float(value) for value in scores.perplexities]


def main() -> None:
    request = json.load(sys.stdin)
    json.dump(perplexities(request["texts"], request["length"]), sys.stdout)


if __name__ == "__main__":
    main()
