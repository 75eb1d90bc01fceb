"""Operations that choose pixels, tilts and signals."""
