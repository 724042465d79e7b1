"""Cameras: devices, looped files and network streams."""
