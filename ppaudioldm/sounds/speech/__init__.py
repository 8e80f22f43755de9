"""Spoken sentences to train speech models on: a grammar, four voices of flite, and their descriptions."""
