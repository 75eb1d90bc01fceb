"""The border between napari and the core: the only place where layers become data sets and back."""
