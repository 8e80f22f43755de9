"""Files that appear whole or not at all, locks between processes, and the user's folders."""
