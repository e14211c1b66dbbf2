"""Ship a trained demo model: copy the export of a run into the package and write its card from measurements.

python scripts/model_card.py --run runs/demo --data eltec-eng.jsonl.gz
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import torch

import engine
from engine.data.texts import load
from engine.evaluation.perplexity import Question, perplexity
from engine.models import TextModel
from engine.strategies import REGISTRY
from engine.training.config import read_config
from engine.training.data import prepare

ROOT = Path(__file__).parent.parent
HOME = ROOT / "engine" / "models" / "demo"
CONFIG = ROOT / "configs" / "train" / "demo.toml"
COMMAND = "remdm-tui perplexity --model demo --device cpu --dtype float32"
SAMPLES = 5

CARD = """# The demo model of remdm-tui

A masked diffusion language model (MDLM, SUBS objective, Sahoo et al. 2024, arXiv 2406.07524) small enough to ship in
the package. It writes phrases of Victorian fiction; it is for looking at samplers, not for anything else.

| | |
|---|---|
| architecture | DIT without time conditioning: {n_blocks} blocks of {hidden_size}, {n_heads} heads, length {length} |
| parameters | {parameters:,}, stored in bfloat16 |
| tokenizer | byte-level BPE of {vocab_size:,} tokens, mask included, trained on the training split |
| data | ELTeC-eng, COST Action CA16204: 99 English novels, 1840 to 1920, {train:,} training tokens |
| licence | the novels are in the public domain; the weights are under the licence of this repository |
| training | {steps:,} steps of {batch} x {length} tokens ({epochs:.2f} epochs), bfloat16, two CPU cores |
| weights | exponential moving average, at the best validation bound (step {best_step:,}) |
| validation bound | {bound} |

The bound is the SUBS evidence bound of this directory's own (rounded) weights on the five held-out novels, with 95 %
intervals, as printed by

    {command}

{sentences}

Bias and content: novels of their time, with the views of their time.

## Retrain it

    remdm-tui train --config configs/train/demo.toml --data eltec-eng.jsonl.gz --out runs/demo
    python scripts/model_card.py --run runs/demo --data eltec-eng.jsonl.gz

`eltec-eng.jsonl.gz` holds one JSON object a line with `text` and `split`, one for each novel of the collection. The
configuration starts with small times (`curriculum`) and caps the bound's weight (`max_weight`): both shorten the
plateau at the unigram entropy that a small budget cannot afford; the bound above has neither.

## {samples} unselected samples for each strategy

`remdm-tui sample --strategy NAME --steps {sample_steps} --length {sample_length} --count {samples} --seed 0`, which is
top-p 0.9 and every other knob at its default.

{texts}"""


def bound(model: TextModel, data: Sequence[Path]) -> dict[str, str]:
    """What the card says of the bound on the validation split: what its command prints."""
    found = perplexity(model, load(data), Question())
    measured = found.conventions[found.primary]
    command = " ".join([COMMAND, *(f"--data {path.name}" for path in data)])
    return {"bound": str(measured), "command": command, "sentences": fill(" ".join(measured.sentences), 118)}


def texts(steps: int, length: int) -> str:
    model = engine.load_model(str(HOME), device="cpu", dtype="float32")
    blocks = []
    for name in REGISTRY:
        ids = engine.sample(model, engine.make_strategy(name), steps=steps, length=length, count=SAMPLES, seed=0)
        samples = [model.codec.decode(row.tolist()) for row in ids]
        quoted = ("\n".join("    " + line for line in text.splitlines()) for text in samples)
        blocks.append(f"### {name}\n\n" + "\n\n    ---\n\n".join(quoted))
    return "\n\n".join(blocks) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    config = read_config(CONFIG.read_text())
    HOME.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copyfile(options.run / "model" / name, HOME / name)
    corpus = prepare(options.data, config.model.vocab_size, options.run.parent / "cache")
    model = engine.load_model(str(HOME), device="cpu", dtype="float32")
    best = torch.load(options.run / "best.pt", weights_only=True)
    train = len(corpus.splits["train"])
    sample_steps, sample_length = 256, 128
    shape = {k: getattr(config.model, k) for k in ("n_blocks", "hidden_size", "n_heads", "length", "vocab_size")}
    card = CARD.format(
        **shape, parameters=model.info.parameters, train=train, steps=config.run.steps, batch=config.run.batch,
        epochs=config.run.steps * config.run.batch * config.model.length / train, best_step=int(best["step"]),
        **bound(model, options.data), samples=SAMPLES,
        sample_steps=sample_steps, sample_length=sample_length, texts=texts(sample_steps, sample_length),
    )  # fmt: skip
    (HOME / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
