"""How a model leaves this process: to the Hugging Face Hub, and as a Space."""
