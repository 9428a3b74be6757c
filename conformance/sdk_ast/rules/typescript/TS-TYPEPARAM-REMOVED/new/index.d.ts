export interface I { a: any }
