"""Video files and photos."""
