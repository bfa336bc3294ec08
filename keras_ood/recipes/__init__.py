"""Recipes: how a preset is trained, as plain data."""
