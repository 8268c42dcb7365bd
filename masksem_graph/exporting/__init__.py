"""A run as one file that needs no torch."""
