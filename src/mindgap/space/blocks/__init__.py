"""One block per file."""
