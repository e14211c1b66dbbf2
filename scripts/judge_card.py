"""Ship a trained demo judge: copy the export of a run into the package and write its card from measurements.

python scripts/judge_card.py --run runs/demo-ar --data eltec-eng.jsonl.gz --minutes 60
"""

from __future__ import annotations

import argparse
import math
import shutil
from pathlib import Path

import numpy as np
import torch

import engine
from engine.metrics.judge import load_judge
from engine.models import checkpoint
from engine.training.config import read_config
from engine.training.data import Corpus, prepare

ROOT = Path(__file__).parent.parent
HOME = ROOT / "engine" / "models" / "demo_judge"
CONFIG = ROOT / "configs" / "train" / "demo-ar.toml"
WINDOWS = 1024
SAMPLES = 3
SAMPLE_LENGTH = 128

CARD = """# The demo judge of remdm-tui

The autoregressive twin of the demo model: the same data, tokenizer and width, trained to predict the next token. As the
judge `demo-judge` it scores texts offline (generative perplexity, MAUVE's features); as the model `demo-ar` it writes
from left to right. A judge this small tells Victorian fiction from noise and one sampler of the demo model from
another; its figures compare with nothing measured under another judge.

| | |
|---|---|
| architecture | causal twin of the DIT: {n_blocks} blocks of {hidden_size}, {n_heads} heads, length {length} |
| parameters | {parameters:,}, stored in bfloat16 |
| tokenizer | the demo model's: byte-level BPE of {vocab_size:,} tokens, mask included |
| data | ELTeC-eng, COST Action CA16204: 99 English novels, 1840 to 1920, {train:,} training tokens |
| licence | the novels are in the public domain; the weights are under the licence of this repository |
| training | {steps:,} steps of {batch} x {length} tokens: {seen:,} tokens, {epochs:.2f} epochs |
| cost | bfloat16, one thread, {minutes} minutes on a CPU that it shared with other work |
| weights | exponential moving average, at the best validation (step {best_step:,}) |
| validation | {nats:.4f} +- {error:.4f} nats a token, perplexity {ppl:.1f} |

The validation figure is the exact likelihood by this directory's own (rounded) weights of {windows:,} evenly spaced
windows of the five held-out novels, with its standard error over windows.

Before every window, in training and here, stands one `<|endoftext|>` that is not scored, so that the first token is
predicted too: a text is judged from its first token on. Windows begin anywhere in a novel, and so may texts. They are
read as the training texts were: typographic quotes and dashes unified, and paragraph by paragraph. The judge reads
{length} tokens and can score one more.

Bias and content: novels of their time, with the views of their time.

## Retrain it

    remdm-tui train --config configs/train/demo-ar.toml --data eltec-eng.jsonl.gz --out runs/demo-ar
    python scripts/judge_card.py --run runs/demo-ar --data eltec-eng.jsonl.gz --minutes {minutes}

## {samples} unselected samples

`remdm-tui sample --model demo-ar --strategy left-to-right --steps {sample_length} --length {sample_length} --count
{samples} --seed 0`, which is top-p 0.9.

{texts}
"""


def validated(corpus: Corpus, length: int) -> tuple[float, float]:
    """(mean, standard error) over the validation windows, nats a token."""
    judge = load_judge("demo-judge", "cpu")
    rows = [[corpus.end_id, *row] for row in corpus.spread("validation", length, WINDOWS).tolist()]
    values = np.array([losses.mean() for losses in judge.nll(rows)])
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(WINDOWS))


def texts() -> str:
    model = engine.load_model("demo-ar", device="cpu", dtype="float32")
    strategy = engine.make_strategy("left-to-right")
    ids = engine.sample(model, strategy, steps=SAMPLE_LENGTH, length=SAMPLE_LENGTH, count=SAMPLES, seed=0)
    samples = [model.codec.decode(row.tolist()) for row in ids]
    return "\n\n    ---\n\n".join("\n".join("    " + line for line in text.splitlines()) for text in samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=int, required=True)
    options = parser.parse_args()
    config = read_config(CONFIG.read_text())
    HOME.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copyfile(options.run / "model" / name, HOME / name)
    corpus = prepare(options.data, config.model.vocab_size, options.run.parent / "cache")
    nats, error = validated(corpus, config.model.length)
    best = torch.load(options.run / "best.pt", weights_only=True)
    train, seen = len(corpus.splits["train"]), config.run.steps * config.run.batch * config.model.length
    shape = {k: getattr(config.model, k) for k in ("n_blocks", "hidden_size", "n_heads", "length", "vocab_size")}
    card = CARD.format(
        **shape, parameters=checkpoint.parameters(checkpoint.read(HOME)), train=train, steps=config.run.steps,
        batch=config.run.batch, seen=seen, epochs=seen / train, minutes=options.minutes, best_step=int(best["step"]),
        nats=nats, error=error, ppl=math.exp(nats), windows=WINDOWS, samples=SAMPLES, sample_length=SAMPLE_LENGTH,
        texts=texts(),
    )  # fmt: skip
    (HOME / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
