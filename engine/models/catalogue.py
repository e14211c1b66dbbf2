"""Which models are known by name and what a name means, without loading any."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path

from engine.files.regular import regular_file

BUILT_IN = {
    "demo": "10.4 M parameters, novels and speeches, length 256; inside the package",
    "demo-sedd": "SEDD of the same size on the same texts; inside the package",
    "demo-ar": "its twin from left to right, 10.0 M parameters, which is also the judge demo-judge; inside the package",
}
DIRECTORIES = {"demo": "demo", "demo-sedd": "demo_sedd", "demo-ar": "demo_judge"}
"""Of the built-in models, in engine/models."""
PUBLISHED = {
    "kuleshov-group/mdlm-owt": "MDLM, 170 M parameters, OpenWebText, length 1024",
    "louaaron/sedd-small": "SEDD, 170 M parameters, OpenWebText, length 1024",
    "louaaron/sedd-medium": "SEDD, 424 M parameters, OpenWebText, length 1024",
    "google-bert/bert-base-uncased": "BERT, 110 M parameters, length 512",
    "openai-community/gpt2": "GPT-2, 124 M parameters, left to right, length 1024",
    "GSAI-ML/LLaDA-8B-Instruct": "LLaDA, 8 B parameters, for --chat and --block-length",
    "Dream-org/Dream-v0-Instruct-7B": "Dream, 7.6 B parameters, for --chat",
}
"""Repositories of the Hugging Face hub to begin with; any other id is taken as well."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve(name: str) -> Path | None:
    """Return the directory or file on this machine that a name means; None for a repository of the hub.

    Raises ValueError that says what would be valid for a name that is neither.
    """
    if name in BUILT_IN:
        return Path(str(resources.files("engine") / "models" / DIRECTORIES[name]))
    path = Path(name).expanduser()
    if path.exists():
        return path if path.is_dir() else regular_file(path)
    if HUB_ID.fullmatch(name) and not name.startswith((".", "/", "~")):
        return None
    if os.sep in name or path.suffix:
        raise ValueError(f"there is no file or directory {name!r}")
    known = ", ".join(BUILT_IN)
    raise ValueError(
        f"unknown model {name!r}: choose {known}, a directory, a file, or a Hugging Face id such as org/name"
    )
