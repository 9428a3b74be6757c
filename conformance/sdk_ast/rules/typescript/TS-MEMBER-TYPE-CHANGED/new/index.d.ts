export interface I { a: number }
