"""What a scenario's ``trace`` may be: each source turns a window into arrivals, function by function."""
