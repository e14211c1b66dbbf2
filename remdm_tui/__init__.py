"""The terminal: entry point, application and widgets.  Nothing here imports torch."""
