"""Parts that several models share. They know no model and no trainer.

Letters in shapes: B batch, T time (positions), C channels, H heads, G heads of keys and values, D
channels of a head, V vocabulary.
"""
