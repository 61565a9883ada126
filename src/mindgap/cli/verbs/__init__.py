"""One file per verb; each has ``add_to(app)``."""
