"""Ways to run the networks, behind one small contract."""
