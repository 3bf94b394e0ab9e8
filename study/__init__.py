"""Studies of growing and of the recipe: arms of equal compute over several seeds, a DVC pipeline of its own."""

import pipeline as pipeline  # first: it answers signals during the imports, and takes the code's checksums before them
