"""Checkpoint files: finding them, reading every published layout safely, converting them to our own."""
