export interface I<T, U = T> { a: T; b?: U }
