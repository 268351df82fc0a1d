"""The paper's figure: prompts, synthesis, reconstruction, semantics, and LTAD, which composes them."""
