"""Results: the record of one entry on one task, and reading, writing and combining such records."""
