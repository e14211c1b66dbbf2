"""The process and the machine: priority, installed packages, calls of third-party code."""
