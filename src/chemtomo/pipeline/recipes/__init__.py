"""Recipes: what they are, how they are kept, and how they are told from a result."""
