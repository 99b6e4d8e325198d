"""Tools of fates and ancestors."""
