export interface I<T> { a: T }
