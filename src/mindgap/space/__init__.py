"""Networks as data: blocks, architectures, the search space and what they cost."""
