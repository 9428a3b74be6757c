export declare function f(a: string | number): void;
