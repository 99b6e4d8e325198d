"""Steps of an analysis on AnnData that are neither storage nor thin."""
