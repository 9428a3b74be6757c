export declare function f(a: unknown): boolean;
