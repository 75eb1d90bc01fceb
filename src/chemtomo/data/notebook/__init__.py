"""For notebooks: pictures of the data, and HyperSpy signals."""
