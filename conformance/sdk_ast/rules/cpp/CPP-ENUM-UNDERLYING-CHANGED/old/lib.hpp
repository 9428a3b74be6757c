enum class E : int { a };
