"""The command line, ``chemtomo``. Its options are made from the models in `chemtomo.pipeline`."""

from chemtomo.cli.app import app, main

__all__ = ["app", "main"]
