"""The napari plugin: layers in, layers out. It computes nothing itself."""
