"""The sampling environment: versions of packages, and devices with their dtype, attention and memory."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata

import torch

from engine.models.attention import choose_attention
from engine.models.load import choose_device
from engine.system.version import __version__

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "textual", "flash-attn", "flash-attn-4",
)  # fmt: skip


@dataclass(frozen=True)
class DeviceInfo:
    """A device as a model would use it; `memory` in bytes, 0 if unknown."""

    device: str
    name: str
    memory: int
    bfloat16: bool
    dtype: str
    """what `--dtype auto` selects"""
    attention: str
    """what `--attention auto` selects"""


def versions() -> dict[str, str]:
    """Return the versions of all packages that affect results; `not installed` for missing ones."""
    found = {"remdm-tui": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"CUDA of torch": str(torch.version.cuda or "none")}


def devices() -> list[DeviceInfo]:
    """Return the devices, best first: `--device auto` selects the first."""
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
    """Return a device with the dtype and attention that models use on it."""
    place = choose_device(device)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    kernel, _ = choose_attention("auto", place, dtype)
    return DeviceInfo(device, name, memory, bfloat16, str(dtype).removeprefix("torch."), kernel)


def _memory() -> int:
    """Return the main memory in bytes; 0 if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
