"""Model cards, rendered from what training measured."""
