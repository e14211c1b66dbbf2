"""Evaluation without a terminal: samples of numbered addresses, scored, in a directory that can be gone on with."""
