"""The command line as ``python -m chemtomo``."""

import sys

from chemtomo.cli import main

if __name__ == "__main__":
    sys.exit(main())
