"""Access to files: archives, names, values read when needed, messages of libraries, HDF5."""
