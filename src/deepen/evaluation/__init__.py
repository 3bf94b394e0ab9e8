"""What a network reaches: accuracies, views of an image, predictions, mistakes, and intervals."""
