"""The models behind one contract, each in a file of its own; none imports another."""
