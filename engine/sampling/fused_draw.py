"""From logits to tokens in one kernel on a GPU: log-sum-exp, nucleus and inverse CDF, summed in float64.

The nucleus is found without sorting: its smallest logit is searched digit by digit, with sixteen thresholds in each
pass over the vocabulary.  `engine.sampling.kernel` has the slow, obvious form.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from engine.records import Settings

TAKES = (torch.float32, torch.bfloat16, torch.float16)
"""Types whose numbers are float32 ones, by whose bits the search goes."""
BLOCK = 1024
"""Tokens looked at together."""


def draws_fused(logits: Tensor, settings: Settings) -> bool:
    """Return whether `draw_fused` draws from these logits under these settings."""
    plain = settings.draw == "inverse-cdf" and settings.temperature > 0
    return (
        plain
        and logits.device.type == "cuda"
        and logits.dtype in TAKES
        and _agrees(logits.device, logits.dtype, settings.top_p < 1, settings.nucleus)
    )


def draw_fused(logits: Tensor, uniforms: Tensor, settings: Settings, banned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a token for each row of logits [N, V] by one of the uniforms, float64 [N].

    banned: bool [V], the tokens that are never drawn.  Returns ids, the probability each had after the nucleus, and
    where the logits are not finite, [N] each.
    """
    from engine.sampling.fused_kernel import draw_rows

    logits, (count, vocab), at = logits.contiguous(), logits.shape, logits.device
    ids = torch.empty(count, dtype=torch.long, device=at)
    held = torch.empty(count, dtype=torch.float64, device=at)
    failed = torch.empty(count, dtype=torch.int32, device=at)
    numbers = torch.full((2,), settings.top_p, dtype=torch.float64, device=at)
    numbers[1].fill_(1 / settings.temperature)
    # Triton launches on the current device
    with torch.cuda.device_of(logits):  # type: ignore[no-untyped-call]
        draw_rows[(count,)](
            logits, banned.to(torch.uint8), uniforms, numbers, ids, held, failed, vocab,
            NUCLEUS=settings.top_p < 1, INCLUSIVE=settings.nucleus == "inclusive", BLOCK=BLOCK, num_warps=16,
        )  # fmt: skip
    return ids, held, failed > 0


@lru_cache(maxsize=16)
def _agrees(device: torch.device, dtype: torch.dtype, cut: bool, nucleus: str) -> bool:
    """Return whether Triton is here and the kernel draws what the plain form draws, on a small example.

    cut: whether there is a nucleus.  Each of these is a kernel of its own.
    """
    from engine.sampling import kernel

    noise = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn((64, 1500), generator=noise)).to(device, dtype)
    banned = torch.zeros(1500, dtype=torch.bool, device=device)
    keys, positions = torch.arange(64, device=device), torch.arange(64, device=device)
    address, settings = kernel.Address(keys, positions), Settings("mdlm", top_p=0.9 if cut else 1.0, nucleus=nucleus)
    p = torch.softmax(logits.double(), -1)
    if cut:
        p = kernel.nucleus_unread(p, settings.top_p, nucleus)
    try:
        ids, held, failed = draw_fused(logits, kernel.uniforms_of(address), settings, banned)
    except Exception:  # noqa: BLE001 - whatever a compiler cannot do, the plain form draws
        return False
    expected = kernel.inverse_cdf(p, address)
    alike = torch.allclose(held, p.gather(-1, expected[:, None])[:, 0], rtol=1e-9)
    return alike and torch.equal(ids, expected) and not bool(failed.any())
