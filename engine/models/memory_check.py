"""Whether weights fit where they are to go, checked before any memory is taken."""

from __future__ import annotations

import os
from pathlib import Path

import torch

GIB = 1 << 30


def check_room(needed_bytes: int, device: torch.device) -> None:
    """Raise ValueError saying what is needed and what is there, if a device has less free memory than that."""
    free = free_bytes(device)
    if free is not None and needed_bytes > free:
        raise ValueError(
            f"the weights need {needed_bytes / GIB:.2f} GiB on {device} and {free / GIB:.2f} GiB are free there: "
            "choose another device, a smaller dtype or a smaller model"
        )


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes free on a device; None where unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch's allocator keeps of freed tensors can be taken as well
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    if device.type == "cpu":
        known = [free for free in (_available(), _left_in_cgroup()) if free is not None]
        return min(known) if known else _physical()
    return None


def _available(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return MemAvailable of Linux in bytes; None elsewhere."""
    try:
        lines = meminfo.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _left_in_cgroup(home: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what a container may still take (cgroup v2), pages of files that can be dropped counted as free."""
    try:
        limit, used = int((home / "memory.max").read_text()), int((home / "memory.current").read_text())
        stat = dict(line.split() for line in (home / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):  # the file is missing, or its limit is "max"
        return None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
