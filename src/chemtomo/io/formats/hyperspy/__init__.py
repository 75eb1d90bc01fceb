"""HSPY and ZSPY, the files of HyperSpy: tilt series, spectrum images and volumes."""
