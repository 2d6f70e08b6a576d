"""Corpora, their parts as tokens, and the batches that a training run sees.

text reads a file, corpora knows some by name, part splits and encodes them, batches draws from a part.
"""
