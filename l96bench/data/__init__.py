"""Training and test data: fixed splits, made when first needed, bit-identical everywhere."""
