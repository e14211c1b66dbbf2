"""Text to evaluate on: local files, the field's data sets by name, and rows of tokens made of them."""
