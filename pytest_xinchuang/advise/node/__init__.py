"""Node.js: the packages that lock files pin, binding.gyp, code that asks for process.arch, and native modules."""
