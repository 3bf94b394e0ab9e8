"""The names that parts of data sets have in folders and tables."""

PART_ALIASES = {  # what the parts are also called, in lower case
    **dict.fromkeys(("train", "training", "trainset", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "testset", "test_set"), "test"),
}
