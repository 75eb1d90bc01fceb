"""NPY and NPZ, the files of NumPy: tilt series and volumes."""
