"""The Names tab, and its cards."""
