"""One file per verb: they wire the parts and do no arithmetic."""
