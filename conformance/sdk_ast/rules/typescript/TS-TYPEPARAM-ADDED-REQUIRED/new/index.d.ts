export interface I<T, U> { a: T; b?: U }
