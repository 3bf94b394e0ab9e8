"""Ladders: the plan of each model, the transfer of weights by role, and how new layers start."""
