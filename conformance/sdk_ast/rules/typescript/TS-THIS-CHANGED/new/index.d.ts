export declare function f(this: Date): void;
