"""Rows drawn by the fused kernel and by the plain form, as a program: Triton's interpreter is chosen at its import.

Prints a line for each example that differs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.records import Settings
from engine.sampling import fused_draw, kernel

VOCAB, NEVER = 40, (3, 39)


def differs(logits: Tensor, settings: Settings) -> bool:
    count = len(logits)
    address = kernel.Address(torch.arange(count), 7 * torch.arange(count))
    banned = torch.zeros(VOCAB, dtype=torch.bool)
    banned[list(NEVER)] = True
    ids, held, failed = fused_draw.draw_fused(logits, kernel.uniforms_of(address), settings, banned)
    expected = kernel.draw(
        logits, address, mask_id=NEVER[0], never=NEVER[1:], top_p=settings.top_p, nucleus=settings.nucleus,
        temperature=settings.temperature, how="inverse-cdf",
    )  # fmt: skip
    same = torch.equal(ids, expected.ids) and torch.allclose(held, expected.held, rtol=1e-12)
    return not same or bool(failed.any())


def main() -> None:
    fused_draw.BLOCK = 16  # several blocks, the last of which is not full
    noise = torch.Generator().manual_seed(1)
    for settings in (
        Settings("mdlm", top_p=1.0, temperature=0.5),
        Settings("mdlm", top_p=0.7),
        Settings("mdlm", top_p=0.6, nucleus="inclusive"),
        Settings("mdlm", top_p=0.01),
    ):
        # few numbers, so that most are tied
        tied = torch.randint(0, 4, (5, VOCAB), generator=noise).float()
        rough = (3 * torch.randn(3, VOCAB, generator=noise)).bfloat16()
        for logits in (tied, rough):
            if differs(logits, settings):
                print(settings, logits.dtype)
    lost = torch.zeros(3, VOCAB)
    lost[0, 5], lost[1, 5], lost[2] = torch.nan, torch.inf, -torch.inf
    uniforms, banned = torch.zeros(3, dtype=torch.float64), torch.zeros(VOCAB, dtype=torch.bool)
    if not fused_draw.draw_fused(lost, uniforms, Settings("mdlm", top_p=1.0), banned)[2].all():
        print("rows that are not finite are drawn from")
    print("done")


if __name__ == "__main__":
    main()
