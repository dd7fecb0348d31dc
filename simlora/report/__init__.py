"""A finished run as one HTML file that needs nothing else: tables, interactive figures, what it rests on."""
