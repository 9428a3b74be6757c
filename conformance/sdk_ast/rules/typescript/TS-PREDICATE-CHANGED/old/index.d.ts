export declare function f(a: unknown): a is string;
