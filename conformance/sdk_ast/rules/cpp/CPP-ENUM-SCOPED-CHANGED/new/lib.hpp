enum class E { a };
