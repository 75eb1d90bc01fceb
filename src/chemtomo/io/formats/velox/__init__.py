"""Velox EMD: images, element maps and spectrum images."""
