"""Drivers of the CPU: how they are found, and what they need of the machine."""
