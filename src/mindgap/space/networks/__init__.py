"""One file per family of reference networks."""
