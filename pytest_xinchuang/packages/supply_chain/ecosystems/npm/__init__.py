"""The npm registry: locks of npm, pnpm and yarn, and node_modules."""
