"""Training: the loop, its callbacks, its state. `session` begins and resumes runs."""
