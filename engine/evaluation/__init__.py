"""Evaluation without a terminal: draw numbered samples, score them, and resume in the same directory."""
