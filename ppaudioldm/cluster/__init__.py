"""A list of prompts on many machines, by Ray: docs/cluster.md."""
