"""Loading of the network of a live run, and the choice of its size."""
