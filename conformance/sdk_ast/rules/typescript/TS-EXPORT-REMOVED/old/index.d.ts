export declare function f(): void;
export declare const a: 1;
