"""A tab is a file, or a folder with its cards: layout, then handlers, then wiring."""
