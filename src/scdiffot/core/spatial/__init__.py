"""Tissue slices as arrays: neighbourhoods, alignment, and couplings between slices."""
