"""What a table of predictions shows, as one record."""
