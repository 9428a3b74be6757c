export interface I { m(a: string): void }
