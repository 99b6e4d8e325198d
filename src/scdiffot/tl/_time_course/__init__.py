"""Tools of time courses."""
