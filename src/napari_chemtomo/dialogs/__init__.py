"""Dialogs that ask for the tilts that data lack."""
