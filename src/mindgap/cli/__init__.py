"""The command line: parses options and prints records."""
