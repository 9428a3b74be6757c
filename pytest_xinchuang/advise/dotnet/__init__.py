""".NET: the runtime identifiers that projects are published for, what they lock, and natives below runtimes/."""
