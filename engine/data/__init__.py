"""Texts for training and evaluation: local files, published data sets by name, and rows of tokens made of them."""
