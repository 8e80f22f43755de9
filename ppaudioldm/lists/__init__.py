"""A sound for every line of a list of prompts, with a manifest that lets an interrupted run resume."""
