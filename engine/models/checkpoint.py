"""The directory layout of a model of our own: model.safetensors, config.json, tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from engine.files.atomic import tidy
from engine.files.checksums import replace_checked, replacing_checked
from engine.files.run_layout import MODEL_FILES, WITH_CHECKSUMS
from engine.models.causal_dit import CausalDIT
from engine.models.dit import DIT, DITConfig
from engine.models.files import check_claim, fill, open_weights, read_object
from engine.models.loading import Discrete
from engine.models.progress import Progress
from engine.system.callbacks import ignore

FORMAT = 1
STEPS, SUBS_MASKING = "T", "subs_masking"
Network = DIT | CausalDIT
NETWORKS: dict[str, type[DIT] | type[CausalDIT]] = {"dit": DIT, "sedd": DIT, "d3pm": DIT, "causal": CausalDIT}
"""What a configuration's `kind` stands for; dit is MDLM's."""


def export(
    model: Network,
    tokenizer_json: str,
    home: Path,
    dtype: torch.dtype = torch.bfloat16,
    *,
    kind: str = "dit",
    discrete: Discrete | None = None,
) -> None:
    """Write the model, of a kind of NETWORKS, into `home`.

    Each file appears whole or not at all, with its checksum, the weights last.
    """
    home.mkdir(parents=True, exist_ok=True)
    tidy(home, WITH_CHECKSUMS)
    config = {"format": FORMAT, "kind": kind, **model.config.to_dict(), **told(discrete)}
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


def read(home: Path, progress: Progress = ignore) -> Network:
    """The network in a directory, float32 on the CPU, in evaluation mode.

    Raises ValueError naming a missing file, a bad configuration, or a tensor that is missing, unexpected
    or of the wrong shape.
    """
    for name in MODEL_FILES:
        if not (home / name).is_file():
            raise ValueError(f"{home} is no model directory: it has no {name}")
    kind, config = read_config(home / "config.json")
    weights = open_weights(home / "model.safetensors")
    check_claim(config.n_blocks, weights)
    # built without memory or initialisation, then given the file's tensors
    with torch.device("meta"):
        model = NETWORKS[kind](config)
    cpu = torch.device("cpu")
    fill(model, weights, device=cpu, dtype=lambda _: torch.float32, progress=progress)
    return model.eval().requires_grad_(False)


def told(discrete: Discrete | None) -> dict[str, object]:
    """Return how D3PM was trained by the field's names of its settings."""
    return {} if discrete is None else {STEPS: discrete.steps, SUBS_MASKING: discrete.subs_masking}


def read_discrete(path: Path) -> Discrete | None:
    """Return how D3PM was trained; None where a configuration does not say."""
    fields = read_object(path, "a model configuration")
    return Discrete.of(fields.get(STEPS), fields.get(SUBS_MASKING))


def read_config(path: Path) -> tuple[str, DITConfig]:
    """(kind, shape)."""
    fields = read_object(path, "a model configuration")
    version, kind = fields.pop("format", None), fields.pop("kind", None)
    for name in (STEPS, SUBS_MASKING) if kind == "d3pm" else ():
        fields.pop(name, None)
    if type(version) is not int or version != FORMAT or not isinstance(kind, str) or kind not in NETWORKS:
        known = ", ".join(map(repr, NETWORKS))
        raise ValueError(f"{path} is of format {version} and kind {kind!r}; this version reads {FORMAT} and {known}")
    try:
        return kind, DITConfig(**fields)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
