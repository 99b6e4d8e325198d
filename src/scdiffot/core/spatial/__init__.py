"""Tissue slices as arrays: neighbourhoods, poses, couplings between slices and what lies between them."""
