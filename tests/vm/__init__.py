"""A virtual machine with a camera (vivid) and a virtual camera (v4l2loopback), and vidbg in it."""
