"""What the numbers in a file mean: counts or intensities, pixel sizes, elements, the axis of the tilts."""
