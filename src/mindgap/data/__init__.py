"""Images, tables and batches: what a model is trained and judged on."""
