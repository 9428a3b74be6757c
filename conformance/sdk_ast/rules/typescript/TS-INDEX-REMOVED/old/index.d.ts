export interface I { [k: string]: string }
