"""The meaning of each symbol on screen, one line each."""

SYMBOLS = (
    ("t", "reverse time: 1 masked, 0 clean"),
    ("alpha", "expected unmasked fraction at t"),
    ("sigma", "a token's chance of a remask now"),
    ("eta", "strength: cap or share of sigma"),
    ("p", "nucleus: draw from likeliest p"),
)
"""Symbols of the method; short enough for the narrowest legend."""
FIGURE_MEANINGS = (
    ("NFE", "network calls of a sample, in a batch the mean; idle steps cost none"),
    ("tok/NFE", "committed tokens for each network call"),
    ("confid.", "mean probability of the revealed tokens when drawn"),
    ("p of new", "the same of the step's tokens: what early stopping waits for"),
)
