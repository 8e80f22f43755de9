"""Engines: what runs the networks of a checkpoint, behind one small interface."""
