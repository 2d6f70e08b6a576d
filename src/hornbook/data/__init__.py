"""Corpora, their parts as tokens, and the batches that a training run draws.

From the text to a batch: `corpora` knows some texts by name, `sources` has the files of the others,
`reading` and `decoding` read a file in pieces, `units` and `separators` divide it into documents,
`inspection` finds what is in it, `corpus` is the text, `split` its parts, `tokens` writes and maps
them, `part` is one of them, `packing` and `batches` draw from it. `training_data` is all of it for a
run.
"""
