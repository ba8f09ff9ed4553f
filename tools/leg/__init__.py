"""A training leg: what travels to another machine, the run there, and the way back."""
