"""Tools of genes."""
