"""What notebooks need: pictures of the data, and signals of HyperSpy."""
