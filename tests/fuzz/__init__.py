"""Mutation fuzzing of everything that reads what others wrote; ``scripts/fuzz`` runs it, ``corpus/`` is what it starts from and has found."""
