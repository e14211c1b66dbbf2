"""Settings of the property tests: the same examples every time, on a machine of any speed."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, settings

from tests.engine import published

# weights that others made are tested where they are installed: `make test-pretrained`
collect_ignore = [] if published.complete() else ["test_pretrained.py"]
settings.register_profile(
    "engine", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("engine")
# the tensors of the tests are too small to be shared between threads
torch.set_num_threads(1)
