"""Published data, downloaded on first use."""
