"""Image sets in memory and in files: their split, statistics, augmentation and prefetching."""
