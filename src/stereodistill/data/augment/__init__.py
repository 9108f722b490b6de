"""Augmentation of a pair: geometry, colour, and what goes wrong in each camera alone."""
