export interface I { a: string | null }
export declare function f(): I;
