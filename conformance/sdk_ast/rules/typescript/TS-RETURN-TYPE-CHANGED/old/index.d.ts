export declare function f(): string;
