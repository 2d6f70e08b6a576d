"""Small corpora of different kinds, made by `make.py`, and what each is read as."""
