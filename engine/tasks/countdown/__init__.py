"""Countdown: make a number from others; puzzles by number and seed, and the tasks in lm-evaluation-harness' format."""
