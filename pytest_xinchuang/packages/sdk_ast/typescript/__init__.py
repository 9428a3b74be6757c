"""TypeScript and JavaScript: declarations read, compared and judged by the compiler API of the ``typescript`` package."""
