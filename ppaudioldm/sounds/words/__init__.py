"""What captions say, in English and Chinese side by side: a file for each family of sounds, as in `kinds`."""
