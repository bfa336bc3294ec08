"""Presets: where they are, what they hold, how they are checked."""
