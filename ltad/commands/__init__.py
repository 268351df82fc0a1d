"""The commands, a file each: ``add_options`` says what it takes, ``run`` does it and gives the exit status."""

COMMANDS = {
    "train": "Learn a checkpoint from normal images.",
    "evaluate": "Measure a checkpoint on a data set's test images.",
    "inspect": "Judge photographs; one JSON line each.",
    "adapt": "Teach a checkpoint one more product from a few good photographs.",
    "checkpoints": "List the checkpoints that are here.",
    "splits": "Write a long-tailed split as JSON lines.",
    "push": "Put a checkpoint on the Hugging Face Hub.",
    "pull": "Bring a checkpoint from the Hugging Face Hub.",
    "space": "Make or update a Hugging Face Space of the page.",
}
DONE, FAILED = 0, 1
