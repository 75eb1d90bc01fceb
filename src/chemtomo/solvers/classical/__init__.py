"""The classical methods: each channel and slice alone, no regulariser but the number of iterations."""
