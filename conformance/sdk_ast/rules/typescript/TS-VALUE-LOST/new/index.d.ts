export interface C { a: string }
