export declare function f(): void;
export declare const b: number;
