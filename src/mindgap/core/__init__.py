"""What every part stands on: errors, registries, configuration, run folders."""
