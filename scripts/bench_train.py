"""Measures training on this machine: a step, a resume, and the reading of tokens.

python scripts/bench_train.py
python scripts/bench_train.py --size small --vocabulary 50258 --length 1024 --batch 512 --rows-together 16
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from engine.bench import Options, machine
from engine.bench.child import OtherLoad
from engine.bench.training import measure_batches, measure_resuming, measure_training_step, random_corpus
from engine.models import choose_device
from engine.training.config import TrainConfig
from engine.training.config_file import read_config
from engine.training.loop import Trainer


def configured(args: argparse.Namespace) -> TrainConfig:
    compiled = "" if args.compile is None else f"compile = {str(args.compile).lower()}\n"
    return read_config(f"""
objective = "{args.objective}"
[model]
size = "{args.size}"
vocab_size = {args.vocabulary}
length = {args.length}
[run]
steps = 1000000
batch = {args.batch}
rows_together = {args.rows_together}
checkpoint_every = 1000000
validate_every = 1000000
precision = "{args.precision}"
{compiled}""")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="step | resume | read", default=[])
    parser.add_argument("--objective", default="mdlm")
    parser.add_argument("--size", default="small")
    parser.add_argument("--vocabulary", type=int, default=50258)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rows-together", type=int, default=0)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    config, device, parts = configured(args), choose_device(args.device), args.parts or ["step", "resume", "read"]
    here = machine(Options())
    print(
        f"{here.cpu}, {here.cores} cores, {torch.get_num_threads()} threads; torch {here.torch}, {device}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if "step" in parts:
            trainer = Trainer(config, random_corpus(args.vocabulary), home / "step", device)
            load = OtherLoad()
            step = measure_training_step(trainer, args.repeats)
            shares = ", ".join(f"{name} {share:.1%}" for name, share in step.others)
            shape = f"{args.objective}, DiT-{args.size}, V = {args.vocabulary:,}, L = {args.length}, batch {args.batch}"
            print(
                f"step: {shape}, {trainer.precision}: {step.seconds:.3g} s, {step.tokens_per_second:,.0f} tokens/s; "
                f"matrix products and attention {step.products:.1%} of it, {step.utilisation:.1%} of the matmul peak; "
                f"then {shares}; others took {load.share():.0%} of the CPU",
                flush=True,
            )
            del trainer
        if "resume" in parts:
            cost = measure_resuming(config, random_corpus(args.vocabulary), home / "resume", device)
            saved = f"{cost.mib:,.0f} MiB saved in {cost.saving:.1f} s"
            print(f"checkpoint: {saved}, gone on with after {cost.resuming:.1f} s", flush=True)
        if "read" in parts:
            rate = measure_batches(home / "read", 1 << 25, args.length, args.batch, 2.0)
            print(f"shards: {rate / 1e6:,.0f} M tokens/s in batches of {args.batch} windows of {args.length}")


if __name__ == "__main__":
    main()
