export declare const b: 1;
/** @beta */
export declare const a: number;
