"""Where in an image a network looks, and whether that is inside the lesion."""
