"""Estimators in scikit-learn style that learn a closure: polynomials, networks, trees around the ring, and more."""
