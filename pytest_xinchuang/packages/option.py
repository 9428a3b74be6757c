"""What a conformance package says of one of its options. Every pytest run that has the plugin comes here, as to ``base``."""


class PackageOption:
    """An option of pytest's command line that belongs to a package; it is an ini value too, with underscores.

    Attributes:
        flag: ``--xc-...``.
        metavar: how its value is called in help texts.
        help: what it is for, marked by ``N_``: the English template of a message.
    """

    def __init__(self, flag: str, metavar: str, help: str) -> None:
        self.flag, self.metavar, self.help = flag, metavar, help

    @property
    def name(self) -> str:
        """As ``RunContext.option`` takes it: without dashes."""
        return self.flag.lstrip("-").replace("-", "_")
