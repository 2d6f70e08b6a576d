"""One process of several that train a model together."""
