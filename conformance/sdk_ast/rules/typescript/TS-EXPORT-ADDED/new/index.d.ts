export declare const a: 1;
export declare const b: 2;
