"""Every model in NumPy alone, written to be read: what `hornbook export --to numpy` puts into a file.

Nothing here imports torch, nor anything of hornbook outside this package: `export/numpy.py` joins the
files that a model needs into one program.
"""
