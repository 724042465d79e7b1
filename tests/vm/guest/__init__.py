"""What runs inside the virtual machine, in the host's files under an overlay."""
