"""What can be made of a recording: one task a file."""
