"""What MAUVE sees through a judge: held-out texts against others of them in which ever more tokens are random.

python scripts/mauve_control.py --references demo.jsonl.gz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import engine
from engine.data.texts import load_texts
from engine.evaluation.model_rows import model_rows
from engine.metrics.generative_perplexity import generative_perplexity
from engine.metrics.judges import load_judge
from engine.metrics.mauve import features, mauve


def worse(rows: NDArray[np.int64], share: float, seed: int = 0) -> NDArray[np.int64]:
    """rows [N, L] with this share of their tokens replaced by tokens from elsewhere in them, as frequent as theirs."""
    noise = np.random.default_rng(seed)
    return np.where(noise.random(rows.shape) < share, noise.choice(rows.ravel(), rows.shape), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--references", type=Path, required=True)
    parser.add_argument("--model", default="demo", help="Whose tokens the texts are cut by.")
    parser.add_argument("--judge", default="demo-judge")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
    options = parser.parse_args()
    model, judge = engine.load_model(options.model, "cpu", "float32"), load_judge(options.judge, "cpu")
    rows = model_rows(model, load_texts([options.references]), length=options.length, most=2 * options.count).tokens
    texts = [model.codec.decode(row.tolist()) for row in rows[::2]]
    references = features(judge, texts)
    print("share of random tokens, MAUVE and its deviation over k-means seeds, generative perplexity")
    for share in options.shares:
        ids = worse(rows[1::2], share)
        changed = [model.codec.decode(row.tolist()) for row in ids]
        found = mauve(features(judge, changed), references, featurizer=judge.name)
        judged = generative_perplexity(judge, changed, list(ids)).perplexity
        print(f"{share:4.0%}  {found.value:.3f} +- {found.deviation:.3f}  {judged.value:8.1f}", flush=True)


if __name__ == "__main__":
    main()
