"""What is learned from and scored on: fixed splits, made when first needed, the same bits everywhere."""
