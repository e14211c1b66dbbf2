"""The words by which strategies say what they read and which quota they keep."""

from __future__ import annotations

READS = {
    "held": "the probability that a token had when it was revealed (no network)",
    "masked": "the draw at masked positions and its probability",
    "spread": "besides, the most probable token, margin and entropy",
    "committed": "the prediction at revealed positions too",
    "drawn": "a draw at revealed positions too, where the prediction otherwise has the argmax",
    "previous": "the prediction of the last step that read the network",
    "tilted": "the draw at masked positions from logits that the strategy adds to (`Strategy.tilt`)",
    "divergence": "how far the distribution at masked positions has moved since that step",
    "verified": "the prediction at revealed positions as if each were masked, by a call for each or one shadow block",
    "tempered": "the prediction after temperature and nucleus (temperature 0 counts as 1)",
    "noised": "as confidence, the probability of the drawn token after the Gumbel noise of its draw",
    "logit": "the network's logit of the drawn token",
    "quality": "a trained head's score of the committed token, where the model has such a head",
    "ahead": "how sure the network would be of the rest after each candidate alone is revealed, by a call for each",
    "planned": "the prediction of drawn tokens at revealed positions, by a second call that sees all draws in place",
    "noise": "a uniform of its own at every position (no network)",
    "simplex": "the network's argmax where the canvas is a point on the simplex of the vocabulary (ssd-lm alone)",
}
"""What a plan may read besides time and state; the engine computes what is read and no more."""
OFFLINE = frozenset({"held", "noise"})
"""What is read without a call of the network."""
OLDER_READS = {"time": frozenset[str](), "held": frozenset({"held"}), "candidates": frozenset({"masked"})}
"""Single words that people's strategies of earlier versions have in place of a set."""
QUOTAS = {
    "llada": "every step reveals its equal share of the masks, rounded up",
    "dream": "every step reveals Dream's share of the masks, rounded down",
    "clock": "a step leaves 1 - alpha of the positions masked, rounded down, or fewer where scores tie",
}
"""Quotas that a strategy can say that it keeps, which the debugger checks."""
