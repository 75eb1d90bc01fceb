"""MRC: tilt series and volumes, with the extended headers of microscopes."""
