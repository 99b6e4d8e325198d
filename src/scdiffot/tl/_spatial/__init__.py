"""Tools of tissue slices."""
