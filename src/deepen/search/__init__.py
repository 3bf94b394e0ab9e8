"""A search of settings by validation accuracy, with Optuna; each trial is an experiment of DVC."""
