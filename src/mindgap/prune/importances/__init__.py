"""One channel importance per file."""
