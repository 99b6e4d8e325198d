"""The problem: weighted snapshots, the units they are scaled to, and the configuration."""
