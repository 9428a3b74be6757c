export interface I { [k: string]: number }
