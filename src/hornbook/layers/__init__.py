"""Parts that several models share. They know no model and no trainer.

Letters in shapes: B batch, T time, C channels, H heads, D channels of a head, V vocabulary.
"""
