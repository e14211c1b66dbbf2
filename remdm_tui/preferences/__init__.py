"""What a person has configured, and how the last session ended."""
