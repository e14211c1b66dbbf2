"""Evaluations as tables, plots and a page.  Importing it loads neither torch nor matplotlib."""
