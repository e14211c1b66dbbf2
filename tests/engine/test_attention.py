"""The attention kernels: all give the same function, and the requested one is used."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor

from engine.models import attention, load_model
from engine.models.attention import choose_attention, sdpa, written_out

CPU = torch.device("cpu")
FLASH = torch.cuda.is_available() and importlib.util.find_spec("flash_attn") is not None


def heads(rows: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn((2, n, 4, 16), generator=generator) for n in (rows, length, length))
    return q, k, v


def plainly(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    """Position by position, head by head."""
    out = torch.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            for i in range(q.shape[1]):
                seen = i + 1 if causal else k.shape[1]
                weights = torch.softmax(k[b, :seen, h] @ q[b, i, h] * scale, 0)
                out[b, i, h] = weights @ v[b, :seen, h]
    return out


@pytest.mark.parametrize("kernel", [sdpa, written_out])
@pytest.mark.parametrize(("rows", "causal"), [(5, False), (24, False), (24, True)])
@pytest.mark.parametrize("budget", [1, 1 << 21])
def test_every_kernel_is_the_plain_sum(
    monkeypatch: pytest.MonkeyPatch, kernel: attention.Attention, rows: int, causal: bool, budget: int
) -> None:
    monkeypatch.setattr(attention, "SCORES", budget)
    q, k, v = heads(rows, 24)
    torch.testing.assert_close(kernel(q, k, v, 0.25, causal), plainly(q, k, v, 0.25, causal), atol=1e-5, rtol=1e-5)


def test_auto_takes_the_best_that_can_be_used() -> None:
    assert choose_attention("auto", CPU, torch.float32) == ("sdpa", sdpa)
    assert choose_attention("auto", CPU, torch.bfloat16) == ("written", written_out)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("flash2", "flash2 attention cannot be used here: it needs a CUDA device, not cpu"),
        ("flash4", "flash4 attention cannot be used here: it needs a CUDA device, not cpu"),
        ("written", "written attention cannot be used here: it is for bfloat16 on a CPU"),
        ("flash9", "unknown attention 'flash9': choose auto, flash4, flash2, written, sdpa"),
    ],
)
def test_a_kernel_that_cannot_be_used_says_why(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason):
        choose_attention(name, CPU, torch.float32)


def test_the_kernel_requested_is_the_one_used() -> None:
    tokens, t = torch.randint(0, 4000, (1, 40), generator=torch.Generator().manual_seed(1)), torch.ones(1)
    auto = load_model("demo", "cpu", "bfloat16")
    forced = load_model("demo", "cpu", "bfloat16", attention="sdpa")
    assert (auto.info.backend, forced.info.backend) == ("written", "sdpa")
    torch.testing.assert_close(
        auto.project(auto.encode(tokens, t)), forced.project(forced.encode(tokens, t)), atol=0.3, rtol=0.05
    )


@pytest.mark.skipif(not FLASH, reason="needs a CUDA device and the flash-attn package")
@pytest.mark.parametrize("name", ["flash2", "flash4"])
def test_flash_gives_the_logits_of_sdpa(name: str) -> None:
    tokens, t = torch.randint(0, 4000, (2, 64), device="cuda"), torch.ones(2, device="cuda")
    plain = load_model("demo", "cuda", "bfloat16", attention="sdpa")
    try:
        flash = load_model("demo", "cuda", "bfloat16", attention=name)
    except ValueError as error:
        pytest.skip(str(error))
    torch.testing.assert_close(
        flash.project(flash.encode(tokens, t)), plain.project(plain.encode(tokens, t)), atol=0.15, rtol=0.05
    )
