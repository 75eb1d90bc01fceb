"""What values and metadata mean: counts or intensities, pixel sizes, elements, the tilt axis."""
