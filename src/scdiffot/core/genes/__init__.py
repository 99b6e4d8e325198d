"""Genes: decoders, regulation, trends and perturbations."""
