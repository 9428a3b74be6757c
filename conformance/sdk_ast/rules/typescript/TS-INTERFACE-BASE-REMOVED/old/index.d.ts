export interface B { b: string }
export interface I extends B { a: string }
