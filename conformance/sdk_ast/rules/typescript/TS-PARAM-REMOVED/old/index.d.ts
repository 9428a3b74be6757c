export declare function f(a: string, b?: number): void;
