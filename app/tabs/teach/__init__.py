"""The Teach tab, and its cards: adaptation, as people call it."""
