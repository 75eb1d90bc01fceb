"""One folder per file format, and the registry that lists them all."""
