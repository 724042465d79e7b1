"""Reading of the camera of a live run."""
