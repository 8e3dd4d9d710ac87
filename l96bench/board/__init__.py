"""The board: tables and pages made from results."""
