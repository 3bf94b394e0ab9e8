"""Studies of growing and of the recipe: arms of equal compute over several seeds, a DVC pipeline of its own."""
