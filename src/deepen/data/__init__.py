"""Image sets in memory and in files: split, statistics, augmentation and prefetching."""
