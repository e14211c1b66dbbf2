"""The watch screen, and the dialogs above it."""
