"""Stages of the live pipeline, each in a thread of its own."""
