"""What a closure does and why: numbers, pictures and a page of both for any entry."""
