"""What an entry does and why: numbers, pictures and a page of both."""
