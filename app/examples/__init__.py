"""Pictures to click: what there is, what checkpoints said of them, and how the page shows them."""
