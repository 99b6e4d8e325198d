"""Benchmarks of scdiffot: accuracy, stability, speed, and its peers; see README.md."""
