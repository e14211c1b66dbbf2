"""What this machine has for sampling: versions, devices with their types and attention, memory, caches."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata

import torch

from engine import __version__
from engine.models.attention import choose_attention
from engine.models.load import choose_device

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "textual", "flash-attn", "flash-attn-4",
)  # fmt: skip


@dataclass(frozen=True)
class DeviceInfo:
    """A device as a model would use it; `memory` in bytes, 0 where unknown."""

    device: str
    name: str
    memory: int
    bfloat16: bool
    dtype: str
    """what `--dtype auto` gives"""
    attention: str
    """what `--attention auto` gives for it"""


def versions() -> dict[str, str]:
    """Of everything that decides what is computed; `not installed` where it is missing."""
    found = {"remdm-tui": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"CUDA of torch": str(torch.version.cuda or "none")}


def devices() -> list[DeviceInfo]:
    """Best first: the first is what `--device auto` takes."""
    found = []
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(i)
            found.append(_device(f"cuda:{i}", properties.name, properties.total_memory, torch.cuda.is_bf16_supported()))
    if torch.backends.mps.is_available():
        found.append(_device("mps", "Apple GPU", 0, True))
    threads = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) if torch.backends.mkldnn.is_available() else False  # type: ignore[no-untyped-call]
    return [*found, _device("cpu", threads, _memory(), fast)]


def _device(device: str, name: str, memory: int, bfloat16: bool) -> DeviceInfo:
    place = choose_device(device)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    kernel, _ = choose_attention("auto", place, dtype)
    return DeviceInfo(device, name, memory, bfloat16, str(dtype).removeprefix("torch."), kernel)


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
