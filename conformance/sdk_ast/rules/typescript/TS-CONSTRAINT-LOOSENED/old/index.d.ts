export interface I<T extends string> { a: T }
