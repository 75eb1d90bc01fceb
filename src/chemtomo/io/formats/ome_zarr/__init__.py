"""OME-Zarr: tilt series and volumes as multiscale images."""
