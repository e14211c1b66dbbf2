"""Sudoku: rules, grids and puzzles that an address alone decides, and a solver that knows the truth."""
