"""Sources and cleaning: from what the user names to a stream of clean text."""
