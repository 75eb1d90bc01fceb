"""TIFF and OME-TIFF: tilt series and volumes."""
