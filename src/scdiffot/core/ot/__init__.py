"""Transport between two clouds of points."""
