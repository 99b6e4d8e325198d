"""Between two slices: couplings, virtual slices, transferred genes."""
