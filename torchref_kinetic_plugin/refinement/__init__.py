"""Forward model, objective and fits."""
