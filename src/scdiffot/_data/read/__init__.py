"""Reading cells: representations, times, labels, genes and slices as arrays."""
