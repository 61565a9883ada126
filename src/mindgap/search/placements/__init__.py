"""Where workers can run; one file per placement."""
