export declare function f(a: string | number): a is string;
