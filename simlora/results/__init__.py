"""What a run did, in columns; what that means (metrics), what it cost (billing), how sure one can be (statistics)."""
