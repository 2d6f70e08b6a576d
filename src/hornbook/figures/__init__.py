"""Pictures of a run; the only package that imports matplotlib."""
