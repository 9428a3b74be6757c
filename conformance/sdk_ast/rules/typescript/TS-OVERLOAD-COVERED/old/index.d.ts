export declare function f(a: string): void;
export declare function f(a: number): void;
