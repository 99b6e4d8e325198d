"""AnnData objects of interpolated cells and slices."""
