"""Information about the machine: its processor, its folders."""
