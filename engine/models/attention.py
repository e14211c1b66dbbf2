"""Which attention kernel a network uses, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Attention = Callable[[Tensor, Tensor, Tensor, float, bool], Tensor]
"""(q [B, R, H, h], k and v [B, L, H, h], scale, causal) -> [B, R, H, h]; causal only where R = L"""
SCORES = 1 << 21
"""Attention scores held at once where attention is written out."""


def sdpa(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    """Attend by torch's own kernel, on every device and in every type."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, scale=scale, is_causal=causal).transpose(1, 2)


def sdpa_where(q: Tensor, k: Tensor, v: Tensor, scale: float, sees: Tensor) -> Tensor:
    """Attend where sees, bool [B, R, L], holds; k and v may have fewer heads, shared evenly."""
    shared = q.shape[2] != k.shape[2]
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=sees[:, None], scale=scale, enable_gqa=shared)
    return mixed.transpose(1, 2)


def written_out(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    """Return two matrix products and a softmax, for as many heads at once as stay in the cache.

    torch's fused kernel for bfloat16 on a CPU takes as long as the float32 one; this takes half of that.
    """
    (_, rows, heads, _), length = q.shape, k.shape[1]
    group = max(1, SCORES // (rows * length))
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    later = torch.ones((rows, length), dtype=torch.bool, device=q.device).triu(1) if causal else None
    for b in range(len(q)):
        for h in range(0, heads, group):
            here = (b, slice(None), slice(h, h + group))
            queries = q[here] if scale == 1.0 else q[here] * scale
            scores = torch.bmm(queries.transpose(0, 1), k[here].permute(1, 2, 0))
            if later is not None:
                scores.masked_fill_(later, -torch.inf)
            out[here] = torch.bmm(torch.softmax(scores, -1), v[here].transpose(0, 1)).transpose(0, 1)
    return out


def _flash2() -> Attention:
    from flash_attn import flash_attn_func

    def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
        return flash_attn_func(q, k, v, softmax_scale=scale, causal=causal)

    return attend


def _flash4() -> Attention:
    from flash_attn.cute import flash_attn_func

    def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
        out = flash_attn_func(q, k, v, softmax_scale=scale, causal=causal)
        return out[0] if isinstance(out, tuple) else out

    return attend


BACKENDS: dict[str, Callable[[], Attention]] = {
    "flash4": _flash4,
    "flash2": _flash2,
    "written": lambda: written_out,
    "sdpa": lambda: sdpa,
}
"""How to get each, best first; getting one raises ImportError where it is not installed."""


def choose_attention(name: str, device: torch.device, dtype: torch.dtype) -> tuple[str, Attention]:
    """Return the kernel of a name, or for `auto` the best that is installed and takes this device and type.

    Raises ValueError for an unknown one, or a requested one that cannot be used here, with the reason.
    """
    if name != "auto" and name not in BACKENDS:
        raise ValueError(f"unknown attention {name!r}: choose auto, {', '.join(BACKENDS)}")
    reasons = []
    for candidate, make in BACKENDS.items():
        if name not in ("auto", candidate):
            continue
        why = _cannot(candidate, device, dtype)
        if not why:
            try:
                return candidate, make()
            except (ImportError, OSError, AttributeError) as error:
                why = f"it is not installed ({error})"
        reasons.append(f"{candidate} attention cannot be used here: {why}")
    raise ValueError(reasons[0])


def _cannot(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """Return why a kernel does not take this device and type; empty where it does."""
    if name == "sdpa":
        return ""
    if name == "written":
        return "" if device.type == "cpu" and dtype == torch.bfloat16 else "it is for bfloat16 on a CPU"
    if device.type != "cuda":
        return f"it needs a CUDA device, not {device.type}"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"it needs bfloat16, not {str(dtype).removeprefix('torch.')}"
    major, minor = torch.cuda.get_device_capability(device)
    least = 9 if name == "flash4" else 8
    if major < least:
        return f"it needs compute capability {least}.0, not {major}.{minor}"
    return ""
