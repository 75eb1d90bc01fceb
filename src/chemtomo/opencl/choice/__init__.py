"""The choice of the device, in one place.

`choosing` finds the device that the user means; `comparison` finds the fastest of several drivers of the
CPU, by running `trial` with each.
"""
