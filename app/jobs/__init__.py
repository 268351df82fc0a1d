"""Background adaptations: what is known of one, the process that does it, and the queue of all."""
