"""Training: the loop, its callbacks and its state. `session.train` is the way in."""
