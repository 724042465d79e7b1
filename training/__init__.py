"""Training of the networks; `python -m training` lists the commands."""

import os

# OpenMP threads that spin at barriers block each other beside a busy process: a step of the light
# network that takes 1.4 s alone took 4.4 s beside one, and 2.6 s with this. torch reads it once,
# when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
