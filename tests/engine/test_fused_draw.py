"""The fused kernel draws the tokens of the plain form, ties included."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from engine.records import Settings
from engine.sampling.fused_draw import draws_fused


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_it_draws_what_the_plain_form_draws() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.fused_examples"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["done"]


def test_a_processor_has_the_plain_form() -> None:
    assert not draws_fused(torch.zeros(2, 8), Settings("mdlm"))
