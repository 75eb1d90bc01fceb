"""Recipes: their model, their files, and the recipe of a result."""
