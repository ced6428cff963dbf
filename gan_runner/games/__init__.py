"""Games: which players there are, and what each of them sees of a batch."""
