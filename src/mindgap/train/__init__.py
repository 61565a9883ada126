"""The training loop, its losses and its mitigation hooks."""
