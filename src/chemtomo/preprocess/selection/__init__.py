"""Which pixels, tilts and signals of the recorded data are kept."""
