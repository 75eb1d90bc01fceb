"""One module a format: volumes and datasets as files of it."""
