export interface I { a: string }
