export interface I<T extends object> { a: T }
