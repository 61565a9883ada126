"""One file per dataset preset."""
