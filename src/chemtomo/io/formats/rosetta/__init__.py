"""The formats of microscopes that RosettaSciIO reads."""
