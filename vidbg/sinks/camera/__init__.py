"""Virtual cameras."""
