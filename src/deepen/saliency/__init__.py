"""Saliency maps: which pixels of an image affect the score of the class that a network predicts."""
