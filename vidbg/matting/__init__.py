"""Matting: compute a person's alpha (network, backends, temporal smoothing, upsampling)."""
