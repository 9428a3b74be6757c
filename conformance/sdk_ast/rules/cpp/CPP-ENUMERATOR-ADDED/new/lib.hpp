enum class E { a, b };
