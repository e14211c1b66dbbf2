"""The digest of all files that decide what a checkpoint or tokenizer says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from engine.files.digests import OnProgress, file_digests
from engine.files.run_layout import QUALITY, STEP
from engine.system.callbacks import ignore

CHECKPOINT = (
    ".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".gguf", ".json", ".model", ".txt", ".jinja", ".tiktoken", ".py",
    ".yaml",
)  # fmt: skip
"""Files that decide what a model says."""
COMPANIONS = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
)
"""What is read from the directory of a checkpoint or tokenizer that is a single file."""
ASIDE = (STEP, QUALITY)
"""Files of a checkpoint that do not decide what it says: a head has a digest of its own."""
RESULTS = ("settings.json", "results.json", "perplexity.settings.json", "perplexity.json")
"""What an evaluation writes, which may be beside the model that it evaluates."""
SCORED = ("samples.jsonl", "scores.jsonl")
"""Of these, a directory below the model that has one is an evaluation's."""
INDEX = ".index.json"
"""The end of the name of a file that lists the shards beside it."""


def fingerprint(home: Path, on_progress: OnProgress = ignore) -> str:
    """Return the digest of a checkpoint or tokenizer: the names and whole contents of all files that decide what it
    says, those beside a single file and the shards of an index among them; 64 hexadecimal digits.

    on_progress: called with the bytes read so far and in all.  Raises OSError.
    """
    if home.is_dir():
        base, below = home, list(home.rglob("*"))
        evaluations = {path.parent for path in below if path.name in SCORED} - {home}
        inside = [path for path in below if path.suffix in CHECKPOINT and path.name not in ASIDE]
        inside = [path for path in inside if not any(part[0] == "." for part in path.relative_to(home).parts)]
        inside = [path for path in inside if not evaluations.intersection(path.parents)]
        inside = [path for path in inside if path.parent != home or path.name not in RESULTS]
    else:
        base = home.parent
        companions = {path for pattern in COMPANIONS for path in base.glob(pattern) if path.suffix in CHECKPOINT}
        inside = list({home, *companions, *_shards(home)})
    files = sorted(path for path in inside if path.is_file())
    found = hashlib.sha256()
    for path, digest in zip(files, file_digests(files, on_progress), strict=True):
        name = path.relative_to(base).as_posix() if path != home else "the file"
        found.update(f"{name} {digest}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def _shards(home: Path) -> list[Path]:
    """Return the files that an index of weights lists; empty for another file, or if it cannot be read."""
    if not home.name.endswith(INDEX):
        return []
    try:
        listed = json.loads(home.read_bytes())["weight_map"].values()
        return [home.parent / name for name in listed]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
