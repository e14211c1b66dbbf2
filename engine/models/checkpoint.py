"""The directory layout of a model of our own: model.safetensors, config.json, tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from engine.files.atomic import tidy
from engine.files.checksums import replace_checked, replacing_checked
from engine.files.regular import is_there
from engine.files.run_layout import MODEL_FILES, WITH_CHECKSUMS
from engine.models.dit import DITConfig
from engine.models.files import check_claim, fill, open_weights, read_object
from engine.models.kinds import KINDS, TrainableNetwork
from engine.models.loading import Discrete
from engine.models.progress import LoadProgress
from engine.system.callbacks import ignore

FORMAT = 1
STEPS, SUBS_MASKING = "T", "subs_masking"
Description = tuple[str, DITConfig, Discrete | None]
"""(kind, a key of KINDS; shape; how D3PM was trained, None where not recorded)"""


def export_model(
    model: TrainableNetwork,
    tokenizer_json: str,
    home: Path,
    dtype: torch.dtype = torch.bfloat16,
    *,
    kind: str = "dit",
    discrete: Discrete | None = None,
) -> None:
    """Write the model, of a kind of KINDS, into `home`.

    Each file appears whole or not at all, with its checksum, the weights last.
    """
    home.mkdir(parents=True, exist_ok=True)
    tidy(home, WITH_CHECKSUMS)
    config = model_config(kind, model.config, discrete)
    replace_checked(home / "config.json", json.dumps(config, indent=2).encode() + b"\n")
    replace_checked(home / "tokenizer.json", tokenizer_json.encode())
    # rotary frequencies are multiplied by the position: rounding them would turn distant tokens the wrong way
    exact = {name for name, _ in model.named_buffers()}
    weights = {
        name: (tensor if name in exact else tensor.to(dtype)).contiguous()
        for name, tensor in model.state_dict().items()
    }
    with replacing_checked(home / "model.safetensors") as part:
        save_file(weights, part)
        part.chmod(0o644)


def read_network(home: Path, progress: LoadProgress = ignore) -> TrainableNetwork:
    """Return the network in a directory, float32 on the CPU, in evaluation mode.

    Raises ValueError naming a file that is missing or not regular, a bad configuration, or a tensor that is missing,
    unexpected or of the wrong shape.
    """
    for name in MODEL_FILES:
        if not is_there(home / name):
            raise ValueError(f"{home} is not a model directory: it has no {name}")
    kind, config, _ = read_model_config(home / "config.json")
    weights = open_weights(home / "model.safetensors")
    check_claim(config.n_blocks, weights)
    # built without memory or initialisation, then given the file's tensors
    with torch.device("meta"):
        model = KINDS[kind].network(config)
    cpu = torch.device("cpu")
    fill(model, weights, device=cpu, dtype=lambda _: torch.float32, progress=progress)
    return model.eval().requires_grad_(False)


def discrete_fields(discrete: Discrete | None) -> dict[str, object]:
    """Return how D3PM was trained by the field's names of its settings."""
    return {} if discrete is None else {STEPS: discrete.steps, SUBS_MASKING: discrete.subs_masking}


def model_config(kind: str, shape: DITConfig, discrete: Discrete | None) -> dict[str, object]:
    """Return the configuration of a model as `parse_config` takes it."""
    return {"format": FORMAT, "kind": kind, **shape.to_dict(), **discrete_fields(discrete)}


def read_model_config(path: Path) -> Description:
    """Read a model's config.json.  Raises ValueError as `parse_config` does."""
    return parse_config(read_object(path, "a model configuration"), str(path))


def parse_config(config: Mapping[str, object], where: str) -> Description:
    """Return what a configuration describes.  Raises ValueError that begins with `where` for another one."""
    fields: dict[str, Any] = dict(config)
    version, kind = fields.pop("format", None), fields.pop("kind", None)
    if type(version) is not int or version != FORMAT or not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise ValueError(f"{where} is of format {version} and kind {kind!r}; this version reads {FORMAT} and {known}")
    discrete = Discrete.of(fields.get(STEPS), fields.get(SUBS_MASKING))
    for name in (STEPS, SUBS_MASKING) if KINDS[kind].discrete else ():
        fields.pop(name, None)
    try:
        return kind, KINDS[kind].shape(**fields), discrete
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
