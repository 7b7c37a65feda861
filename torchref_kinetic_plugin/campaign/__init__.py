"""Many runs of one refinement on an executor, and what they say beside each other."""
