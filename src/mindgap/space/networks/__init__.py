"""One family of reference networks per file, each a function that returns an architecture."""
