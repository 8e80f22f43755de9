"""How good generated clips are: against a text, against a folder of references, against what was asked for."""
