"""The jobs of the steps."""
