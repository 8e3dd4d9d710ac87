"""Entries: what a baseline script defines, and the program that trains and scores them."""
