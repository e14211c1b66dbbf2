"""Where frames come from: a live engine process, or a recording."""
