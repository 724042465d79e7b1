"""Threads of a live run, each with an owner that ends it."""
