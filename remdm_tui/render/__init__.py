"""Pure functions from records to text, colours and plots."""
