export interface I { a: string }
export declare const a: 1;
