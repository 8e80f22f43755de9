"""How the sounds are made: a file for each family, and beneath them what they have in common."""
