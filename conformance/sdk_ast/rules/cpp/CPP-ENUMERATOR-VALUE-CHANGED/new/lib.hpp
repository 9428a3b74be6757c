enum class E { b, a };
