"""EMD of the NCEM and of tomviz: tilt series, spectrum images and volumes."""
