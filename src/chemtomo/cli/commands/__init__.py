"""One module for every command, or for a few that belong together."""
