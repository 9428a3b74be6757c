enum class E : char { a };
