"""What lies in the directory of a training run, for those who look at it from outside.  No torch."""

from __future__ import annotations

CHECKPOINT = "last.pt"
"""The state that the run goes on from, of which a model can be made while it does."""
NEWEST = "newest"
"""The directory of that model, which is not what one would publish."""
STEP = "step.json"
"""In it: which step it was made of."""
