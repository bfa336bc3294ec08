"""What people read in a terminal: progress, interrupts, errors, names that are nearly right."""
