export declare function f(a: string | number): boolean;
