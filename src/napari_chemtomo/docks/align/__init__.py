"""The docks *Register*, *Tilt axis* and *Link channels*."""
