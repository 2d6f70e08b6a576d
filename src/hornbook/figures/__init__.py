"""Figures of a run, one file a family; the only package that imports matplotlib."""
