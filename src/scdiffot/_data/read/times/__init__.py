"""Times of cells: from columns of numbers or labels to exact numbers."""
