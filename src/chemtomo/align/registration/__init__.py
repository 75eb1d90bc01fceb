"""Registration: one shift per projection, from images or from their mass."""
