"""`new-strategy`: a commented strategy file to start from."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from engine.files.atomic import replace, tidy
from engine.strategies import REGISTRY

RESERVED_NAMES = ("None", "True", "False", "Plan", "Strategy", "View")
"""Names that the class in the template cannot have."""
TEMPLATE = '''"""A sampler of your own.  Watch it with

    remdm-tui watch --strategy-file {path}

and edit it while it runs: the next step uses the saved file.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategies import Plan, Strategy, View, knob, posterior


@dataclass(frozen=True)
class {title}(Strategy):
    name = "{name}"
    summary = "Remask a fraction of the largest valid probability, less as the text becomes clean."
    source = "your paper, or where the rule is from"

    # `reads` decides what is computed for plan():
    #   frozenset()             t, s and the two alphas alone
    #   frozenset({{"held"}})     also the probability each token had when it was revealed
    #   frozenset({{"masked"}})   also the network's draw at every masked position, for a network call a step
    # docs/strategies.md lists the rest: revealed positions, margins and entropies, the last step's prediction.
    reads = frozenset()

    # Whether the expected masked fraction is 1 - alpha after every step.  It is whenever plan() is posterior(view,
    # sigma) for a sigma of times alone; set False if yours is not: the debugger checks it at every step.
    preserves_marginal = True

    # Knobs are on the panel and can be changed during a run: default, effect, lower and upper bound.
    eta: float = knob(0.1, "fraction of sigma_max that is remasked", 0, 1)
    fade: float = knob(1.0, "power of t by which remasking fades out", 0, 8)

    def plan(self, view: View) -> Plan:
        """Return the two probabilities of a step from time t down to s; both broadcast to [B, L].

        view.t, view.s              float64 [B, 1], from 1 (all masked) to 0 (clean), s < t
        view.alpha_t, view.alpha_s  float64 [B, 1], the expected unmasked fraction at both
        view.masked, view.revealed  bool [B, L]; a prompt's positions are neither
        view.held                   float64 [B, L], the probability a token had when it was revealed
        view.prediction             ids, confidence and more [B, L], of what `reads` names
        view.sigma_max              float64 [B, 1], the most that can be remasked and made up for

        The engine draws the random numbers and keeps the state.  Use the tensors' methods.  After an exception the
        run stays at its step, and the traceback is shown.
        """
        sigma = self.eta * view.t**self.fade * view.sigma_max
        # unmask = (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t) and remask = sigma
        return posterior(view, sigma)

    # Optional: another clock, and the times that are visited.
    #
    # def alpha(self, t: Tensor) -> Tensor:
    #     return 1 - t**2
    #
    # def grid(self, steps: int) -> NDArray[np.float64]:
    #     return np.linspace(1, 0, steps + 1) ** 1.5
'''


def run(path: Path) -> str:
    """Write the template, and return a sentence on its use. Raises ValueError for an existing file or a bad name."""
    if path.suffix != ".py":
        raise ValueError(f"a strategy is a Python file: {path}.py, not {path}")
    words = re.findall(r"[a-z0-9]+", path.stem.lower())
    if not words or not words[0][0].isalpha() or not re.fullmatch(r"[\w .+-]+", path.name):
        raise ValueError(f"{path.name} is not a name for a strategy: use letters, digits and hyphens, as in mine.py")
    title = "".join(word.capitalize() for word in words)
    if title in RESERVED_NAMES:
        title += "Sampler"
    name = "-".join(words if "-".join(words) not in REGISTRY else ["my", *words])
    tidy(path.parent, [glob.escape(path.name)])
    try:
        replace(path, TEMPLATE.format(path=path.name, title=title, name=name).encode(), new=True)
    except FileExistsError:
        raise ValueError(f"{path} exists: choose another name") from None
    return f"wrote {path}; watch it with: remdm-tui watch --strategy-file {path}"
