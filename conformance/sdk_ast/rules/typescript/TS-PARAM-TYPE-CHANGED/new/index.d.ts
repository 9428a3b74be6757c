export declare function f(a: number): void;
