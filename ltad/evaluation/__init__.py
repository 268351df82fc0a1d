"""Evaluation: the figures that are published, made by the code that a visitor runs."""
