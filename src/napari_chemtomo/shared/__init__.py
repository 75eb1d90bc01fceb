"""What several docks use: forms, editors, jobs in threads, plots, and lists of layers."""
