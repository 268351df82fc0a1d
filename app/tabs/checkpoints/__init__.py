"""The Checkpoints tab, and its cards."""
