"""Group metrics, their intervals and their noise floors, in NumPy."""
