"""Results: records of one entry's score on one task, with functions to read, write and combine them."""
