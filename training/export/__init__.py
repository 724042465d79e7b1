"""What ships, made from trained weights."""
