"""What a run is asked to be: options over presets over defaults, knobs, panes, sweeps."""
