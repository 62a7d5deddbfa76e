"""What comes in and what goes out: the audit of what is pinned, and the release files."""
