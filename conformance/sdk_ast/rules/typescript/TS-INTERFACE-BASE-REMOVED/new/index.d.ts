export interface B { b: string }
export interface I { a: string }
