"""Small helpers without state that every part of the package may import."""
