"""Populations of kinetic states: rate matrix, propagation, response, parameters, priors."""
