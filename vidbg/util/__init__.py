"""Small pieces that every room may use."""
