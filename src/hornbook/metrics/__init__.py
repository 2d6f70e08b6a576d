"""What is measured of a model: losses, comparisons, copies. No Run and no matplotlib."""
