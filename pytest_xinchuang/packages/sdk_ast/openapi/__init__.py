"""HTTP APIs as OpenAPI 3.0 and 3.1 describe them: compared by direction, judged by a validator of JSON Schema."""
