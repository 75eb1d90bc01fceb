"""What the steps do: the jobs behind the rows of the registry."""
