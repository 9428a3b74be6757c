export interface I<T = number> { a: T }
