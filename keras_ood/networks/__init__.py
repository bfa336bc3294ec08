"""Networks: they hold the weights and know nothing of distributions."""
