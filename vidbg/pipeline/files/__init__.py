"""Processing files: jobs, the stream of frames, the Python API."""
