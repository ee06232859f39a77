"""The rules of the business as frozen values and pure functions. Imports the standard library and itself, nothing else."""
