"""What lies between two slices: couplings, virtual slices, transferred genes."""
