"""How far to trust a volume, and the strength from the data: what independent parts of the data say of it."""

from chemtomo.trust.thinning import can_be_split, halves_of_tilts, split_counts, without_tilts

__all__ = ["can_be_split", "halves_of_tilts", "split_counts", "without_tilts"]
