"""An AnnData for cells and slices that were never measured."""
