"""Ladders: the plan of each model, the transfer of weights by role, and the initialization of new layers."""
