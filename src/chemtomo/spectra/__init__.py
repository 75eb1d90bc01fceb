"""From spectrum images to element maps."""
