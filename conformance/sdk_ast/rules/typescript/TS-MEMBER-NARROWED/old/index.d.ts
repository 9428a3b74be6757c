export interface I { a: string | null }
