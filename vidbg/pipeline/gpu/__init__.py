"""The full frame on a GPU: matting and compositing in one run, with the state kept there."""
