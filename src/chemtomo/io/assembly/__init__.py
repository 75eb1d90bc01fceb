"""From files to data: which files are meant, and what is in them put together as tilt series or spectra."""
