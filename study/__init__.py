"""What growing buys: arms that cost equally much, over several seeds. A DVC pipeline of its own, see dvc.yaml here."""
