"""Angle and offset of the tilt axis of a registered series."""
