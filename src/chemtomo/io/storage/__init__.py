"""Access to files: archives, valid names, lazy values, library warnings, HDF5 on full disks."""
