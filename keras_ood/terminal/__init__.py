"""What people read in a terminal: progress, interrupts, names that are nearly right."""
