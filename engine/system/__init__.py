"""The process and the machine: priority, what is installed, calls of untrusted code."""
