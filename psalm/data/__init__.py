"""Questions for training and evaluation: an image, what is asked of it, and the masks that answer."""
