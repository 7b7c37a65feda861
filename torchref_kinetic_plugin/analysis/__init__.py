"""What the numbers of a refinement are worth: uncertainty, identifiability, validation."""
