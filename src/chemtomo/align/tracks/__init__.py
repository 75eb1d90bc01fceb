"""Patches followed through the tilts, and the alignment that explains where they go."""
