export interface I { m(a: string | number): void }
