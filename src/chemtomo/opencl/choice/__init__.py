"""Which device computes: the one place where that is decided.

`choosing` finds the device that the user means; `comparison` tells which of several drivers of the CPU is
faster, by running `trial` with each.
"""
