"""Operations on the values of projections: background, brightness, hot pixels, filters."""
