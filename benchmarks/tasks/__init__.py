"""The parts of the benchmark; each yields rows of results."""
