"""Measure what loading a checkpoint takes: seconds, and memory beyond the process before it.

    python scripts/bench_load.py [--dtype float32|bfloat16]

Writes a directory in the layout of MDLM on the hub with random weights of the field's small model (float32, 679 MB),
loads it in a process of its own, and prints peaks as multiples of the file.  Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, sys, threading, time
from pathlib import Path
from engine.models import load_model

def status():
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if line[-1] == "kB"}

before, anonymous, running = status(), [0], True

def watch():
    while running:
        anonymous[0] = max(anonymous[0], status()["RssAnon"])
        time.sleep(0.002)

threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
model = load_model(sys.argv[1], "cpu", sys.argv[2], mask_id=50257)
seconds, after = time.perf_counter() - start, status()
print(json.dumps({
    "seconds": seconds, "resident": after["VmHWM"] - before["VmRSS"], "private": anonymous[0] - before["RssAnon"],
    "parameters": model.info.parameters,
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        size = write(Path(home))
        done = subprocess.run([sys.executable, "-c", CHILD, home, options.dtype], stdout=subprocess.PIPE, check=True)
    got = json.loads(done.stdout)
    print(f"{got['parameters'] / 1e6:.1f} M parameters as {options.dtype} from a file of {size / 2**20:.0f} MiB")
    print(f"seconds                         {got['seconds']:.1f}")
    print(f"peak of private memory          {got['private'] / size:.2f} of the file")
    print(f"the same and the file's pages   {got['resident'] / size:.2f}")


def write(home: Path) -> int:
    """The checkpoint's files; returns the size of the weights in bytes."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models

    from engine.models.dit import DIT, DITConfig

    torch.manual_seed(0)
    weights = {f"backbone.{name}": tensor for name, tensor in DIT(DITConfig()).state_dict().items()}
    save_file(weights, home / "model.safetensors")
    config = {"model_type": "mdlm", "vocab_size": 50258, "hidden_dim": 768, "n_blocks": 12, "n_heads": 12}
    (home / "config.json").write_text(json.dumps({**config, "model_length": 1024, "time_conditioning": False}))
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(home / "tokenizer.json"))
    return (home / "model.safetensors").stat().st_size


if __name__ == "__main__":
    main()
