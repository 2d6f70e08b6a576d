"""Faster forms of the same mathematics, installed from outside the models."""
