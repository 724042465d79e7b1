"""What is known of the machine: its processor, its folders."""
