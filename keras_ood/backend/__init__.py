"""What differs between the backends and machines."""
