"""Print by how much this engine differs from the reference's code where it does so on purpose.

python scripts/reference_differences.py

Takes a minute or less on a processor: four rows are arithmetic, two are measured on the demo model.
"""

from __future__ import annotations

import torch

import engine

T_ON, T_OFF, ALPHA_ON = 0.55, 0.05, 0.9
"""The loop's settings in the reference's script."""
TEXTS, LENGTH, STEPS = 4, 64, 16


def alpha_on_reference_clock(t: float, at: float) -> float:
    """Return the loop's alpha at time `at` by the formula of the phase in which `t` lies, as the reference does."""
    if t > T_ON:
        return (1 - at) * ALPHA_ON / (1 - T_ON)
    return ALPHA_ON if t > T_OFF else 1 - at * (1 - ALPHA_ON) / T_OFF


def straddling(steps: int) -> list[float]:
    """Return how far the reference's alpha_s lies from ours in the steps that straddle t_on and t_off."""
    loop = engine.make_strategy("remdm-loop", t_on=T_ON, t_off=T_OFF, alpha_on=ALPHA_ON)
    found = []
    for edge in (T_ON, T_OFF):
        index = next(i for i in range(steps) if 1 - (i + 1) / steps < edge)
        t, s = 1 - index / steps, 1 - (index + 1) / steps
        ours = float(loop.alpha(torch.tensor([[s]], dtype=torch.float64)))
        found.append(alpha_on_reference_clock(t, s) - ours)
    return found


def clock_gap(points: int = 100_000) -> tuple[float, float]:
    """Return the mean and the largest gap between the time t and the masked fraction 1 - alpha in the loop."""
    loop = engine.make_strategy("remdm-loop", t_on=T_ON, t_off=T_OFF, alpha_on=ALPHA_ON)
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    gap = (t - (1 - loop.alpha(t))).abs()
    return float(gap.mean()), float(gap.max())


def idle_in_bfloat16(steps: int) -> float:
    """Return the share of steps in which alpha_s - alpha_t is 0 or less once both are rounded to bfloat16."""
    alpha = (1 - torch.linspace(1, 1e-5, steps + 1)).bfloat16()
    return float((alpha[1:] - alpha[:-1] <= 0).float().mean())


def on_the_demo() -> tuple[float, float, float]:
    """Return the share of tokens that a last argmax overwrites, and the mean and largest p(mask) at masks."""
    model = engine.load_model("demo", "cpu", "float32")
    run = engine.Session(
        model, engine.make_strategy("mdlm"), steps=STEPS, length=LENGTH, batch=TEXTS, seed=0, top_p=0.9
    )
    shares = []
    for frame in run:
        tokens = torch.as_tensor(frame.tokens).long()
        where = tokens == model.mask_id
        if where.any() and frame.index % 4 == 0:
            hidden = model.encode(tokens, torch.full((TEXTS,), float(frame.t)))[where]
            shares.append(model.project(hidden).double().softmax(-1)[:, model.mask_id])
    logits = model.project(model.encode(run.tokens, torch.zeros(TEXTS)).flatten(0, 1)).double()
    logits[:, model.mask_id] = -torch.inf
    overwritten = float((logits.argmax(-1) != run.tokens.flatten()).double().mean())
    every = torch.cat(shares)
    return overwritten, float(every.mean()), float(every.max())


def distinct(count: int) -> float:
    """Return the expected share of different texts among `count` drawn with replacement from as many."""
    return 1 - (1 - 1 / count) ** count


def main() -> None:
    for steps in (16, 128, 1024):
        on, off = straddling(steps)
        print(f"loop, T = {steps}: alpha_s there minus ours is {on:+.5f} across t_on, {off:+.5f} across t_off")
    overwritten, mean, most = on_the_demo()
    print(f"last argmax over all positions: {overwritten:.1%} of the demo's tokens would be overwritten")
    print(f"MAUVE references with replacement: {distinct(5000):.1%} of 5,000 are different; without, all are")
    print(f"the mask's logit kept: p(mask) is {mean:.2e} in the mean and {most:.2e} at most on the demo")
    gap, largest = clock_gap()
    print(f"loop, time-conditioned: t is {gap:.3f} from 1 - alpha in the mean, {largest:.3f} at most")
    for steps in (512, 1024, 4096):
        print(f"remdm-conf in bfloat16, T = {steps}: {idle_in_bfloat16(steps):.0%} of the steps reveal nothing")


if __name__ == "__main__":
    main()
