export interface I<T = string> { a: T }
