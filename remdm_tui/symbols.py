"""What the symbols on the screen mean, in a line each."""

SYMBOLS = (
    ("t", "reverse time: 1 is all masked, 0 is clean"),
    ("alpha", "expected unmasked fraction at time t"),
    ("sigma", "chance that a revealed token is remasked now"),
    ("eta", "strength: a cap on sigma, or a share of it"),
    ("p", "nucleus: draw from the likeliest p of all tokens"),
    ("network", "sequences put through it; idle steps cost none"),
    ("confid.", "mean probability of tokens when revealed"),
)
