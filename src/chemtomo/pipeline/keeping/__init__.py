"""What a run keeps for the next one: the state of an unfinished reconstruction, and results of steps."""
