"""One file a tab: layout, then handlers, then wiring."""
