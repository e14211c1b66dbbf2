"""Widgets: each takes records in and posts its own messages."""
