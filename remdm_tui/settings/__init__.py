"""The settings of a run: options over presets over defaults, knobs, panes, sweeps."""
