"""One explainer per file."""
