"""Presets and training configurations, as TOML files beside this module."""
