"""The values of projections: background, brightness, hot pixels, filters."""
