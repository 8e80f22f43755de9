"""Checkpoints: finding them, reading every published layout safely, writing our own."""
