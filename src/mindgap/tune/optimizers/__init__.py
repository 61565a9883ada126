"""One multi-objective optimiser per file."""
