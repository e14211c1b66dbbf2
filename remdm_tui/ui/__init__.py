"""Glue between session and Textual: refresh clock, presenter, driver, command palette."""
