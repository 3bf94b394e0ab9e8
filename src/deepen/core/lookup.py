"""Look up settings by their paths, such as models.I.epochs."""

MISSING = object()  # equals no setting


def get_setting(settings: object, path: str) -> object:
    """Return the setting at a path in the content of a params.yaml; MISSING if there is none."""
    for key in path.split("."):
        settings = settings.get(key, MISSING) if isinstance(settings, dict) else MISSING
    return settings
